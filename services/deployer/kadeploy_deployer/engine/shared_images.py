"""The files of one deployment: each is fetched and taken apart once, for all its nodes, and stays open meanwhile."""

import hashlib
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from typing_extensions import override

from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.engine.shared_calls import SharedCalls
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.ports import BootFiles, DigestDiffers, ImageStore, OpenedFile
from kadeploy_deployer.steps.step import ArchiveReader

PART_BYTES = 256 * 1024
READERS, READERS_PER_USER = 16, 4


def make_readers() -> FileThreads:
    """Returns threads that read archives."""
    return FileThreads(in_all=READERS, per_user=READERS_PER_USER)


class SharedImages(ImageStore, ArchiveReader):
    """Another image store, behind which each file is asked for once. What it opened it closes at its own end."""

    def __init__(self, images: ImageStore, *, readers: FileThreads | None = None) -> None:
        """Takes the store that has the files.

        Args:
            images: where they come from.
            readers: read archives; shared with other deployments, in which each user has their share.
        """
        self._images = images
        self._opened = AsyncExitStack()
        self._readers = readers or make_readers()
        self._fetches: SharedCalls[tuple[FileSnapshot, str], OpenedFile] = SharedCalls()
        self._boot_files: SharedCalls[tuple[EnvironmentSnapshot, str], BootFiles] = SharedCalls()

    @override
    def check(self, file: FileSnapshot) -> None:
        self._images.check(file)

    @override
    @asynccontextmanager
    async def fetch(self, file: FileSnapshot, *, user: str) -> AsyncIterator[OpenedFile]:
        yield await self._fetch(file, user)

    @override
    async def boot_files(self, environment: EnvironmentSnapshot, *, user: str) -> BootFiles:
        return await self._boot_files.get((environment, user), lambda: self._images.boot_files(environment, user=user))

    @override
    @asynccontextmanager
    async def read(self, file: FileSnapshot, *, user: str) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self._parts(await self._fetch(file, user), file, user)

    async def close(self) -> None:
        """Ends what is under way, and closes the files as soon as nobody reads them any more."""
        for calls in (self._fetches, self._boot_files):
            await calls.close()
        await self._opened.aclose()

    async def _fetch(self, file: FileSnapshot, user: str) -> OpenedFile:
        return await self._fetches.get(
            (file, user), lambda: self._opened.enter_async_context(self._images.fetch(file, user=user))
        )

    async def _parts(self, file: OpenedFile, registered: FileSnapshot, user: str) -> AsyncIterator[bytes]:
        """Yields the content of an archive; its end only if the whole is what is registered, or else DigestDiffers.

        Its owner may write into it after it was proved. A node that got no end runs no script of it.
        """
        whole = hashlib.sha256()
        size = 0

        def read(_stopped: threading.Event) -> bytes:
            part = file.read_at(size, min(PART_BYTES, registered.size_bytes + 1 - size))
            whole.update(part)
            return part

        kept_back = b""
        while part := await self._readers.run(read, user=user):
            size += len(part)
            if kept_back:
                yield kept_back
            kept_back = part
        if (f"sha256:{whole.hexdigest()}", size) != (registered.digest, registered.size_bytes):
            raise DigestDiffers(f"{registered.uri} was changed while it was being sent")
        yield kept_back
