"""The files of one deployment: each is fetched, read and taken apart once, for all its nodes."""

from pathlib import Path

from typing_extensions import override

from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.engine.shared_calls import SharedCalls
from kadeploy_deployer.ports import BootFiles, ImageStore
from kadeploy_deployer.steps.step import ArchiveReader


class SharedImages(ImageStore, ArchiveReader):
    """Another image store, behind which each file is asked for once."""

    def __init__(self, images: ImageStore) -> None:
        self._images = images
        self._fetches: SharedCalls[FileSnapshot, Path] = SharedCalls()
        self._contents: SharedCalls[FileSnapshot, bytes] = SharedCalls()
        self._boot_files: SharedCalls[EnvironmentSnapshot, BootFiles] = SharedCalls()

    @override
    async def fetch(self, file: FileSnapshot) -> Path:
        return await self._fetches.get(file, lambda: self._images.fetch(file))

    @override
    async def read(self, file: FileSnapshot) -> bytes:
        return await self._contents.get(file, lambda: self._images.read(file))

    @override
    async def boot_files(self, environment: EnvironmentSnapshot) -> BootFiles:
        return await self._boot_files.get(environment, lambda: self._images.boot_files(environment))

    async def close(self) -> None:
        """Ends what is under way."""
        for calls in (self._fetches, self._contents, self._boot_files):
            await calls.close()
