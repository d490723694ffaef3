"""One directory of the tree, held open: files are reached by bare names, and no symbolic link is followed."""

import contextlib
import ctypes
import errno
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from kadeploy_bootctl.domain.errors import NoSpace, TreeDamaged, UnsafePath

PUBLIC_FILE = 0o644
PRIVATE_FILE = 0o600
TEMPORARY_PREFIX = ".bootctl-"
TEMPORARY_SUFFIX = ".tmp"
LONGEST_NAME = 255
# Above this many files one syncfs is cheaper than an fsync for each.
FEW_FILES = 8

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOT_WRITABLE = frozenset({errno.EACCES, errno.EROFS})
_counter = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


def check_name(name: str) -> str:
    """Returns a bare file name, or raises UnsafePath for anything that could lead elsewhere."""
    if not name or name in {".", ".."} or "/" in name or "\0" in name or len(os.fsencode(name)) > LONGEST_NAME:
        raise UnsafePath(name, "is no bare file name")
    return name


def is_temporary(name: str) -> bool:
    """Tells whether the name is one of a file that was being written."""
    return name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)


class Directory:
    """An open directory below the TFTP root.

    Attributes:
        path: relative to the TFTP root.
        fd: the open directory.
    """

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd

    @classmethod
    def open(cls, root: Path, path: str) -> Self:
        """Opens it, one component after the other. Raises TreeDamaged when it is not there or not a directory."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        shown = str(root)
        try:
            fd = os.open(root, flags)
            for part in path.split("/"):
                shown = f"{shown}/{part}"
                parent = fd
                try:
                    fd = os.open(check_name(part), flags | os.O_NOFOLLOW, dir_fd=parent)
                finally:
                    os.close(parent)
        except FileNotFoundError:
            raise TreeDamaged(shown, "is missing: run kadeploy-bootctl init") from None
        except PermissionError:
            raise TreeDamaged(shown, "cannot be opened: its owner must let this user in") from None
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP}:
                raise TreeDamaged(shown, "must be a directory, not a file or a symbolic link") from None
            raise
        return cls(path, fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def names(self) -> list[str]:
        """Returns the names in it, sorted."""
        return sorted(os.listdir(self.fd))  # noqa: PTH208 - a path could lead elsewhere by now

    def status(self, name: str) -> os.stat_result | None:
        """Returns the status of a name itself (never of what a link leads to), or None."""
        try:
            return os.stat(check_name(name), dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def is_file(self, name: str) -> bool:
        """Tells whether the name is a plain file."""
        found = self.status(name)
        return found is not None and stat.S_ISREG(found.st_mode)

    def read(self, name: str, *, limit: int) -> bytes | None:
        """Returns at most `limit` bytes of a plain file; None when there is none or it cannot be read."""
        try:
            # Without O_NONBLOCK a named pipe would keep us here.
            fd = os.open(check_name(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP, errno.EACCES, errno.ENXIO}:
                return None
            raise
        with os.fdopen(fd, "rb") as file:
            return file.read(limit) if stat.S_ISREG(os.fstat(fd).st_mode) else None

    @contextlib.contextmanager
    def create(self, *, mode: int) -> Iterator[tuple[str, int]]:
        """Makes a new file under a temporary name and gives name and descriptor; removed when the context fails."""
        name = f"{TEMPORARY_PREFIX}{os.getpid()}-{next(_counter)}{TEMPORARY_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self.room():
            fd = os.open(name, flags, mode, dir_fd=self.fd)
        try:
            os.fchmod(fd, mode)  # whatever the umask says: the TFTP server runs as another user
            with self.room():
                yield name, fd
        except BaseException:
            self.remove(name)
            raise
        finally:
            os.close(fd)

    def write(self, content: bytes, *, mode: int) -> str:
        """Writes a temporary file, not yet durable, and returns its name. Raises NoSpace."""
        with self.create(mode=mode) as (name, fd):
            write_all(fd, content)
        return name

    def rename(self, name: str, to: str) -> None:
        """Puts a file in the place of another in one step."""
        with self.room():
            os.rename(check_name(name), check_name(to), src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def place_link(self, source: "Directory", name: str, to: str) -> bool:
        """Puts a second name of a file in the place of another in one step; False where the file cannot be linked."""
        temporary = f"{TEMPORARY_PREFIX}{os.getpid()}-{next(_counter)}{TEMPORARY_SUFFIX}"
        try:
            with self.room():
                os.link(name, temporary, src_dir_fd=source.fd, dst_dir_fd=self.fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}:
                return False
            raise
        try:
            self.rename(temporary, to)
        except BaseException:
            self.remove(temporary)
            raise
        return True

    def remove(self, name: str) -> bool:
        """Removes a name; False when it was not there."""
        try:
            with self.room():
                os.unlink(check_name(name), dir_fd=self.fd)
        except FileNotFoundError:
            return False
        return True

    def remove_temporary_files(self) -> None:
        """Removes what a killed process left half-written. Only for the one process that may write here."""
        for name in self.names():
            if is_temporary(name):
                self.remove(name)

    def make_durable(self, names: Iterable[str]) -> None:
        """Returns when the contents of these files are on the disk."""
        waiting = list(names)
        with self.room():
            if len(waiting) > FEW_FILES and _libc.syncfs(self.fd) == 0:
                return
            for name in waiting:
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)

    def sync(self) -> None:
        """Returns when the names in the directory are on the disk."""
        with self.room():
            os.fsync(self.fd)

    @contextlib.contextmanager
    def room(self) -> Iterator[None]:
        """Turns a full file system into NoSpace, and one that cannot be written into TreeDamaged."""
        try:
            yield
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise NoSpace(self.path) from None
            if error.errno in _NOT_WRITABLE:
                raise TreeDamaged(self.path, "cannot be written: it must belong to the user of bootctl") from None
            raise

    def free_bytes(self) -> int:
        """Returns how much an ordinary user may still write here."""
        found = os.fstatvfs(self.fd)
        return found.f_bavail * found.f_frsize


def write_all(fd: int, content: bytes) -> None:
    """Writes all bytes; `os.write` may write fewer."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
