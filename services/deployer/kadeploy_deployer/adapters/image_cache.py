"""What the store of images keeps on this host: downloads, and boot files taken out of images.

A directory of the deployer alone. All in it can be made again: it may be emptied at any time. Everything is kept by
the address and the digest of the file that it is from, both: who knows but the digest of somebody's image gets nothing
of it. Synchronous: it runs in threads, but for `new_download`.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from kadeploy_deployer.adapters.image_archive import extract
from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.ports import BootFiles, OpenedFile

SPARE_BYTES, SPARE_SHARE = 1 << 30, 20
"""Left free beside a download, or this part of a small file system: the database may be on it, too."""

_PART_BYTES = 1 << 20
_FORGOTTEN_SECONDS = 24 * 3600.0


class ImageCache:
    """Finds and keeps files.

    Args of the constructor:
        directory: made when it is not there.
        kept_files: how many downloads, and how many images' boot files, are kept: the last used ones.
    """

    def __init__(self, directory: Path, *, kept_files: int) -> None:
        self._downloads = directory / "downloads"
        self._boot = directory / "boot"
        self._kept_files = kept_files

    def download_path(self, file: FileSnapshot) -> Path:
        """Returns where a download is kept."""
        return self._downloads / _key(file.uri, file.digest)

    def boot_path(self, environment: EnvironmentSnapshot) -> Path:
        """Returns the directory in which an environment's boot files are kept."""
        image, paths = environment.image, _boot_paths(environment).values()
        return self._boot / _key(image.uri, image.digest, image.compression, *paths)

    def new_download(self, name: str) -> tuple[OpenedFile, Path]:
        """Returns an empty file to write and read, and where it is until it is kept. Raises OSError."""
        self._downloads.mkdir(parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(dir=self._downloads, prefix=".download-")
        return OpenedFile(descriptor, name=name), Path(path)

    def make_room(self, size: int) -> None:
        """Removes old downloads until a new one fits. Raises OSError (ENOSPC) if it never does."""
        self._downloads.mkdir(parents=True, exist_ok=True)
        _remove_forgotten(self._downloads)
        kept = _newest_first(self._downloads)
        while (disk := shutil.disk_usage(self._downloads)).free < size + min(SPARE_BYTES, disk.total // SPARE_SHARE):
            if not kept:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._downloads))
            _remove(kept.pop())

    def keep_download(self, scratch: Path, path: Path) -> None:
        """Keeps a download that is complete, and drops what was not used for the longest time. Raises OSError."""
        scratch.replace(path)
        self._drop_old(self._downloads)

    def find_download(self, path: Path, *, name: str) -> OpenedFile | None:
        """Returns a download that is kept, None if none is. Raises OSError."""
        try:
            return OpenedFile.open(path, name=name)
        except FileNotFoundError:
            return None

    def make_boot_files(
        self, environment: EnvironmentSnapshot, image: OpenedFile, stopped: threading.Event
    ) -> BootFiles:
        """Takes the boot files out of an image and keeps them. Raises ImageError, OSError."""
        kept = self.boot_path(environment)
        kept.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=kept.parent, prefix=".making-"))
        try:
            wanted = {scratch / name: path for name, path in _boot_paths(environment).items() if path}
            extract(image, environment.image, wanted, stopped=stopped)
            digests = {path.name: _digest_of(path) for path in wanted}
            (scratch / "digests.json").write_text(json.dumps(digests))
            # What stands there was found unusable.
            shutil.rmtree(kept, ignore_errors=True)
            scratch.rename(kept)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self._drop_old(self._boot)
        return _boot_files(kept, digests)

    def find_boot_files(self, environment: EnvironmentSnapshot) -> BootFiles | None:
        """Returns what is kept, None when nothing is, or when it is not what was put there."""
        kept = self.boot_path(environment)
        try:
            digests = json.loads((kept / "digests.json").read_text())
            if all(_digest_of(kept / name) == digest for name, digest in digests.items()):
                os.utime(kept)
                return _boot_files(kept, digests)
        except (OSError, ValueError):
            return None
        return None

    def _drop_old(self, directory: Path) -> None:
        _remove_forgotten(directory)
        for path in _newest_first(directory)[self._kept_files :]:
            _remove(path)


def _key(*words: str) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def _boot_paths(environment: EnvironmentSnapshot) -> dict[str, str]:
    return {
        "kernel": environment.kernel_path,
        "initrd": environment.initrd_path,
        "hypervisor": environment.hypervisor_path,
    }


def _boot_files(kept: Path, digests: dict[str, str]) -> BootFiles:
    return BootFiles(
        kernel=kept / "kernel",
        kernel_digest=digests["kernel"],
        initrd=kept / "initrd" if "initrd" in digests else None,
        initrd_digest=digests.get("initrd", ""),
        hypervisor=kept / "hypervisor" if "hypervisor" in digests else None,
        hypervisor_digest=digests.get("hypervisor", ""),
    )


def _digest_of(path: Path) -> str:
    whole = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while part := file.read(_PART_BYTES):
            whole.update(part)
    return f"sha256:{whole.hexdigest()}"


def _newest_first(directory: Path) -> list[Path]:
    """Returns what is kept in a directory, the last used first."""
    used = _last_use(directory, "[0-9a-f]*")
    return sorted(used, key=lambda path: used[path], reverse=True)


def _last_use(directory: Path, pattern: str) -> dict[Path, float]:
    """Returns when each file was used last; one that another thread removes meanwhile is not in it."""
    used = {}
    for path in directory.glob(pattern):
        with suppress(FileNotFoundError):
            used[path] = path.stat().st_mtime
    return used


def _remove_forgotten(directory: Path) -> None:
    """Removes what a process that died left half made."""
    before = time.time() - _FORGOTTEN_SECONDS
    for path, used in _last_use(directory, ".*").items():
        if used < before:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
