"""ImageStore over local files and HTTP: proves every file, keeps what it downloaded and what it took out of images.

The cache is a directory of the deployer alone. All in it can be made again: it may be emptied at any time.
"""

import asyncio
import hashlib
import json
import os
import shutil
import stat
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from kadeploy_deployer.adapters.image_archive import extract
from kadeploy_deployer.adapters.image_download import download
from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.ports import BootFiles, DigestDiffers, ImageError

_PART_BYTES = 1 << 20
_REMEMBERED = 1024
_HEX_DIGITS = 64
_Identity = tuple[str, int, int, int, int]
_T = TypeVar("_T")


class FileImageStore:
    """Fetches `file://` and `http(s)://` files.

    Args of the constructor:
        cache_directory: for downloads and boot files; made when it is not there.
        file_roots: `file://` paths must lie below one of these, links resolved; empty: anywhere.
        kept_files: how many downloaded files, and how many images' boot files, are kept: the last used ones.
    """

    def __init__(self, cache_directory: Path, *, file_roots: Sequence[Path] = (), kept_files: int = 20) -> None:
        self._cache = cache_directory
        self._roots = tuple(file_roots)
        self._kept_files = kept_files
        self._proved: OrderedDict[_Identity, str] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

    async def fetch(self, file: FileSnapshot) -> Path:
        """As in the port."""
        address = urlsplit(file.uri)
        if address.scheme in {"http", "https"}:
            return await self._fetch_remote(file)
        if address.scheme != "file" or address.netloc not in {"", "localhost"}:
            raise ImageError(f"{file.uri} cannot be fetched: only file, http and https are known")
        path = await asyncio.to_thread(self._local_path, file.uri, Path(unquote(address.path)))
        await self._prove(file, path)
        return path

    async def read(self, file: FileSnapshot) -> bytes:
        """As in the port."""
        path = await self.fetch(file)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise ImageError(f"{file.uri} cannot be read on the deployer's host: {error.strerror}") from error

    async def boot_files(self, environment: EnvironmentSnapshot) -> BootFiles:
        """As in the port."""
        name = f"{environment.name} version {environment.version}"
        if environment.kind != "tar":
            raise ImageError(f"{name} is no tar archive, so its kernel cannot be booted over the network")
        if not environment.kernel_path:
            raise ImageError(f"{name} names no kernel, so it cannot be booted over the network")
        paths = (environment.kernel_path, environment.initrd_path, environment.hypervisor_path)
        key = json.dumps([environment.image.digest, *paths])
        kept = self._cache / "boot" / hashlib.sha256(key.encode()).hexdigest()
        async with self._lock(str(kept)):
            found = await _in_thread(lambda _: _read_boot_files(kept))
            if found is not None:
                return found
            image = await self.fetch(environment.image)
            try:
                made = await _in_thread(lambda stopped: _make_boot_files(environment, image, kept, stopped))
                await asyncio.to_thread(_keep_newest, kept.parent, self._kept_files)
            except DigestDiffers:
                raise
            except ImageError as error:
                raise ImageError(f"{name}: {error}") from error
            except OSError as error:
                raise ImageError(f"the boot files of {name} cannot be made in {kept}: {error.strerror}") from error
            return made

    def _lock(self, key: str) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())

    def _local_path(self, uri: str, path: Path) -> Path:
        try:
            real = path.resolve(strict=True)
            regular = stat.S_ISREG(real.stat().st_mode)
            allowed = not self._roots or any(real.is_relative_to(root.resolve()) for root in self._roots)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ImageError(f"{uri} cannot be read on the deployer's host: {reason}") from error
        if not allowed:
            places = ", ".join(str(root) for root in self._roots)
            raise ImageError(f"{uri} lies outside of the directories that images may be in: {places}")
        if not regular:
            raise ImageError(f"{uri} is no regular file")
        return real

    async def _fetch_remote(self, file: FileSnapshot) -> Path:
        digits = file.digest.removeprefix("sha256:")
        if len(digits) != _HEX_DIGITS or not set(digits) <= set("0123456789abcdef"):
            raise ImageError(f"{file.uri} is registered with {file.digest!r}, which is no SHA-256 digest")
        path = self._cache / "downloads" / digits
        async with self._lock(str(path)):
            try:
                await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
                if await asyncio.to_thread(path.exists):
                    try:
                        await self._prove(file, path)
                    except ImageError:
                        # It was spoilt in the cache; the server has a good one.
                        await asyncio.to_thread(path.unlink)
                    else:
                        await asyncio.to_thread(os.utime, path)
                        return path
                found = await _in_thread(
                    lambda stopped: download(file.uri, path, size=file.size_bytes, stopped=stopped)
                )
                identity = await asyncio.to_thread(_identify, path)
                if (found, identity[-1]) != (file.digest, file.size_bytes):
                    await asyncio.to_thread(path.unlink)
                    raise _mismatch(file, found, identity[-1])
                self._remember(identity, found)
                await asyncio.to_thread(_keep_newest, path.parent, self._kept_files)
            except OSError as error:
                raise ImageError(f"{file.uri} cannot be kept in {path.parent}: {error.strerror}") from error
            return path

    async def _prove(self, file: FileSnapshot, path: Path) -> None:
        """Raises ImageError unless the file is the registered one. It is read once for as long as it is unchanged."""
        async with self._lock(str(path) + " content"):
            try:
                identity = await asyncio.to_thread(_identify, path)
                found = self._proved.get(identity)
                if found is None:
                    found = await _in_thread(lambda stopped: _digest_of(path, stopped))
                    if await asyncio.to_thread(_identify, path) == identity:
                        self._remember(identity, found)
            except OSError as error:
                raise ImageError(f"{file.uri} cannot be read on the deployer's host: {error.strerror}") from error
        if found != file.digest or identity[-1] != file.size_bytes:
            raise _mismatch(file, found, identity[-1])

    def _remember(self, identity: _Identity, digest: str) -> None:
        self._proved[identity] = digest
        while len(self._proved) > _REMEMBERED:
            self._proved.popitem(last=False)


async def _in_thread(work: Callable[[threading.Event], _T]) -> _T:
    """Runs work in a thread; when the caller is cancelled the work is told, and ends soon."""
    stopped = threading.Event()
    try:
        return await asyncio.to_thread(work, stopped)
    finally:
        stopped.set()


def _mismatch(file: FileSnapshot, found: str, size: int) -> DigestDiffers:
    return DigestDiffers(
        # The address last: it may be long, and what is kept of a failure is not.
        f"{found} ({size} bytes) is found where {file.digest} ({file.size_bytes} bytes) is registered: {file.uri}"
    )


def _identify(path: Path) -> _Identity:
    status = path.stat()
    return str(path), status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _digest_of(path: Path, stopped: threading.Event | None = None) -> str:
    whole = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while part := file.read(_PART_BYTES):
            if stopped is not None and stopped.is_set():
                raise ImageError(f"reading {path} was given up")
            whole.update(part)
    return f"sha256:{whole.hexdigest()}"


def _keep_newest(directory: Path, count: int) -> None:
    entries = sorted(directory.glob("[0-9a-f]*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in entries[count:]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _make_boot_files(environment: EnvironmentSnapshot, image: Path, kept: Path, stopped: threading.Event) -> BootFiles:
    kept.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=kept.parent, prefix=".making-"))
    try:
        named = {
            "kernel": environment.kernel_path,
            "initrd": environment.initrd_path,
            "hypervisor": environment.hypervisor_path,
        }
        wanted = {scratch / name: path for name, path in named.items() if path}
        extract(image, environment.image.compression, wanted, stopped=stopped)
        digests = {path.name: _digest_of(path) for path in wanted}
        (scratch / "digests.json").write_text(json.dumps(digests))
        # What stands there was found unusable.
        shutil.rmtree(kept, ignore_errors=True)
        scratch.rename(kept)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _boot_files(kept, digests)


def _read_boot_files(kept: Path) -> BootFiles | None:
    """Returns what is kept, None when nothing is, or when it is not what was put there."""
    try:
        digests = json.loads((kept / "digests.json").read_text())
        if all(_digest_of(kept / name) == digest for name, digest in digests.items()):
            os.utime(kept)
            return _boot_files(kept, digests)
    except (OSError, ValueError):
        return None
    return None


def _boot_files(kept: Path, digests: dict[str, str]) -> BootFiles:
    return BootFiles(
        kernel=kept / "kernel",
        kernel_digest=digests["kernel"],
        initrd=kept / "initrd" if "initrd" in digests else None,
        initrd_digest=digests.get("initrd", ""),
        hypervisor=kept / "hypervisor" if "hypervisor" in digests else None,
        hypervisor_digest=digests.get("hypervisor", ""),
    )
