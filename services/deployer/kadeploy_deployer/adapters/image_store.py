"""ImageStore over local files and HTTP: opens a file once, proves it, and hands out what was opened."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from kadeploy_deployer.adapters.image_cache import ImageCache
from kadeploy_deployer.adapters.image_directories import ImageDirectories
from kadeploy_deployer.adapters.image_download import ImageDownloads
from kadeploy_deployer.adapters.packed_files import MAGIC_BYTES, begins_as
from kadeploy_deployer.adapters.upload_store import UploadStore
from kadeploy_deployer.adapters.verifying_reader import VerifyingReader, require_registered
from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.domain.upload import SCHEME, UploadAddress, UploadNotFound
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.files.user_limiter import UserLimiter
from kadeploy_deployer.ports import BootFiles, DigestDiffers, ImageError, OpenedFile
from kadeploy_deployer.ports.opened_file import Identity

_REMEMBERED = 1024
_HEX_DIGITS = 64
_IN_ALL, _PER_USER = 8, 2


class FileImageStore:
    """Fetches `file://` and `http(s)://` files.

    Args of the constructor:
        cache_directory: for downloads and boot files; made when it is not there.
        directories: where `file://` files may lie.
        downloads: fetches from HTTP servers.
        uploads: where `upload:` files are; None: the site takes none.
        kept_files: how many downloaded files, and how many images' boot files, are kept: the last used ones.
    """

    def __init__(
        self,
        cache_directory: Path,
        *,
        directories: ImageDirectories,
        downloads: ImageDownloads,
        kept_files: int = 20,
        uploads: UploadStore | None = None,
    ) -> None:
        self._uploads = uploads
        self._cache = ImageCache(cache_directory, kept_files=kept_files)
        self._directories = directories
        self._downloads = downloads
        self._proved: OrderedDict[Identity, str] = OrderedDict()
        # A slot is acquired before a lock: who waits for a slot must not hold a lock that another user needs.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._limiter = UserLimiter(in_all=_IN_ALL, per_user=_PER_USER)
        # More threads than slots: a thread whose file server does not answer stays when its caller leaves.
        self._threads = FileThreads(in_all=4 * _IN_ALL, per_user=3 * _PER_USER)

    def check(self, file: FileSnapshot) -> None:
        """As in the port."""
        if _is_remote(file):
            self._downloads.hosts.parse(file.uri)
        elif file.uri.startswith(f"{SCHEME}:"):
            self._upload_address(file)
        else:
            self._directories.check(file.uri)

    @asynccontextmanager
    async def fetch(self, file: FileSnapshot, *, user: str) -> AsyncIterator[OpenedFile]:
        """As in the port."""
        self.check(file)
        with await (self._fetch_remote(file, user) if _is_remote(file) else self._fetch_local(file, user)) as opened:
            begin = await self._threads.run(lambda _: opened.read_at(0, MAGIC_BYTES), user=user)
            if not begins_as(file.compression, begin):
                raise ImageError(f"{file.uri} is registered as {file.compression}, and does not begin as such a file")
            yield opened

    async def boot_files(self, environment: EnvironmentSnapshot, *, user: str) -> BootFiles:
        """As in the port."""
        name = f"{environment.name} version {environment.version}"
        if environment.kind != "tar":
            raise ImageError(f"{name} is no tar archive, so its kernel cannot be booted over the network")
        if not environment.kernel_path:
            raise ImageError(f"{name} names no kernel, so it cannot be booted over the network")
        self.check(environment.image)
        lock = self._lock(str(self._cache.boot_path(environment)))
        async with self._limiter.slot(user), lock:
            found = await self._threads.run(lambda _: self._cache.find_boot_files(environment), user=user)
        if found is not None:
            return found
        try:
            async with self.fetch(environment.image, user=user) as image, self._limiter.slot(user), lock:
                return await self._threads.run(
                    lambda stopped: (
                        self._cache.find_boot_files(environment)
                        or self._cache.make_boot_files(environment, image, stopped)
                    ),
                    user=user,
                )
        except DigestDiffers:
            raise
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from error
        except OSError as error:
            raise ImageError(
                f"the boot files of {name} cannot be kept on the deployer's host: {error.strerror}"
            ) from error

    def _lock(self, key: str) -> asyncio.Lock:
        """Returns the lock of a file, which is there for as long as somebody has it in hand."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock

    async def _fetch_local(self, file: FileSnapshot, user: str) -> OpenedFile:
        async with self._limiter.slot(user):
            opened = await self._threads.run(
                lambda _: OpenedFile(self._open(file), name=file.uri),
                user=user,
                discard=OpenedFile.close,
            )
            try:
                await self._prove(file, opened, user)
            except OSError as error:
                opened.close()
                raise ImageError(f"{file.uri} cannot be read on the deployer's host: {error.strerror}") from error
            except BaseException:
                opened.close()
                raise
        return opened

    def _open(self, file: FileSnapshot) -> int:
        """Returns a descriptor of a file on this host. May block. Raises ImageError."""
        if not file.uri.startswith(f"{SCHEME}:"):
            return self._directories.open(file.uri)
        uploads, address = self._upload_address(file)
        try:
            return uploads.open(address)
        except (UploadNotFound, OSError) as error:
            reason = error.message if isinstance(error, UploadNotFound) else error.strerror
            raise ImageError(f"{file.uri} cannot be read on the deployer's host: {reason}") from None

    def _upload_address(self, file: FileSnapshot) -> tuple[UploadStore, UploadAddress]:
        """Returns where uploads are, and the address of one. Raises ImageError where it names another file."""
        address = UploadAddress.parse(file.uri)
        if self._uploads is None:
            raise ImageError(f"{file.uri} is an upload, and this site takes none")
        if address is None or (address.digest, address.size) != (file.digest, file.size_bytes):
            raise ImageError(f"{file.uri} is no address of the registered upload")
        return self._uploads, address

    async def _fetch_remote(self, file: FileSnapshot, user: str) -> OpenedFile:
        digits = file.digest.removeprefix("sha256:")
        if len(digits) != _HEX_DIGITS or not set(digits) <= set("0123456789abcdef"):
            raise ImageError(f"{file.uri} is registered with {file.digest!r}, which is no SHA-256 digest")
        path = self._cache.download_path(file)
        try:
            async with self._downloads.slot(user), self._lock(str(path)):
                return await self._kept(file, path, user) or await self._downloaded(file, path, user)
        except OSError as error:
            raise ImageError(f"{file.uri} cannot be kept on the deployer's host: {error.strerror}") from error

    async def _kept(self, file: FileSnapshot, path: Path, user: str) -> OpenedFile | None:
        """Returns a download that is there already and good. Raises OSError."""
        opened = await self._threads.run(
            lambda _: self._cache.find_download(path, name=file.uri),
            user=user,
            discard=lambda found: found.close() if found else None,
        )
        if opened is None:
            return None
        try:
            await self._prove(file, opened, user)
            with opened.in_use() as descriptor:
                os.utime(descriptor)
            self._remember(opened.identity(), file.digest)
        except ImageError:
            # It was spoilt in the cache; the server has a good one.
            opened.close()
            return None
        except BaseException:
            opened.close()
            raise
        return opened

    async def _downloaded(self, file: FileSnapshot, path: Path, user: str) -> OpenedFile:
        """Downloads a file and keeps it. Raises ImageError, OSError."""
        await self._threads.run(lambda _: self._cache.make_room(file.size_bytes), user=user)
        opened, scratch = self._cache.new_download(file.uri)
        try:
            found = await self._downloads.download(file.uri, opened, size=file.size_bytes, user=user)
            require_registered(file, found, opened.size())
            await self._threads.run(lambda _: self._cache.keep_download(scratch, path), user=user)
            self._remember(opened.identity(), found)
        except BaseException:
            opened.close()
            scratch.unlink(missing_ok=True)
            raise
        return opened

    async def _prove(self, file: FileSnapshot, opened: OpenedFile, user: str) -> None:
        """Raises ImageError unless the file is the registered one. It is read once for as long as it is unchanged."""
        identity = await self._identity(opened, user)
        async with self._lock(f"content {identity}"):
            found, size = self._proved.get(identity, ""), identity[-1]
            if not found:
                found, size = await self._threads.run(
                    lambda stopped: VerifyingReader(opened, file, stopped).digest_and_size(), user=user
                )
                if await self._identity(opened, user) == identity:
                    self._remember(identity, found)
        require_registered(file, found, size)

    async def _identity(self, opened: OpenedFile, user: str) -> Identity:
        # Not in the event loop: a server of files that is away does not answer even this.
        return await self._threads.run(lambda _: opened.identity(), user=user)

    def _remember(self, identity: Identity, digest: str) -> None:
        self._proved[identity] = digest
        while len(self._proved) > _REMEMBERED:
            self._proved.popitem(last=False)


def _is_remote(file: FileSnapshot) -> bool:
    """Returns whether a file is on an HTTP server. Raises ImageError for an address of another kind."""
    try:
        address = urlsplit(file.uri)
    except ValueError as error:
        raise ImageError(f"{file.uri} cannot be fetched: {error}") from None
    if address.scheme in {"http", "https"}:
        return True
    if address.scheme == SCHEME:
        return False
    if address.scheme != "file" or address.netloc not in {"", "localhost"}:
        raise ImageError(f"{file.uri} cannot be fetched: only file, http and https are known")
    return False
