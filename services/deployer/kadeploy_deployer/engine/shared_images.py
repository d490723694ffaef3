"""The files of one deployment: each is fetched, read and taken apart once, for all its nodes."""

from pathlib import Path

from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.engine.shared_calls import SharedCalls
from kadeploy_deployer.ports import BootFiles, ImageStore


class SharedImages:
    """Implements `ports.ImageStore` and `steps.step.ArchiveReader` by another image store."""

    def __init__(self, images: ImageStore) -> None:
        self._images = images
        self._fetches: SharedCalls[FileSnapshot, Path] = SharedCalls()
        self._contents: SharedCalls[FileSnapshot, bytes] = SharedCalls()
        self._boot_files: SharedCalls[EnvironmentSnapshot, BootFiles] = SharedCalls()

    async def fetch(self, file: FileSnapshot) -> Path:
        """As in the port."""
        return await self._fetches.get(file, lambda: self._images.fetch(file))

    async def read(self, file: FileSnapshot) -> bytes:
        """As in the protocol."""
        return await self._contents.get(file, lambda: self._images.read(file))

    async def boot_files(self, environment: EnvironmentSnapshot) -> BootFiles:
        """As in the port."""
        return await self._boot_files.get(environment, lambda: self._images.boot_files(environment))

    async def close(self) -> None:
        """Ends what is under way."""
        for calls in (self._fetches, self._contents, self._boot_files):
            await calls.close()
