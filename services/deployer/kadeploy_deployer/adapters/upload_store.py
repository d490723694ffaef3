"""Keeps what users upload: in one directory of the deployer alone, each content once, with a note for each owner.

    content/<hex>-<size>                 a whole file, proved
    users/<hash of the owner>/<key>      a note that the owner has that content; its time is the last use
    partial/<hash of the owner>/<key>    the first bytes of a file on its way

No name of a file comes from a user but through a hash or a digest that was parsed. What is there is the truth: a
process that is killed at any moment leaves a part to go on from, or a content without a note, which is collected.
Several processes may share the directory. Synchronous: it runs in threads.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kadeploy_deployer.domain.upload import (
    Upload,
    UploadAddress,
    UploadDigestMismatch,
    UploadInProgress,
    UploadNoSpace,
    UploadNotFound,
    UploadOffset,
    UploadQuotaReached,
    UploadTooLarge,
)

SPARE_BYTES, SPARE_SHARE = 1 << 30, 20
"""Left free beside an upload, or this part of a small file system."""
PART_BYTES = 1 << 20
_OWNER_NAME = ".owner"


class UploadStore:
    """The uploads of all users.

    Args of the constructor:
        directory: made when it is not there.
        largest: bytes of one file.
        quota: bytes of one user, parts included by what they will be.
        now: the time.
    """

    def __init__(self, directory: Path, *, largest: int, quota: int, now: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._content, self._users, self._partial = (directory / name for name in ("content", "users", "partial"))
        self._largest, self._quota, self._now = largest, quota, now

    def prepare(self) -> None:
        """Makes the directories, closed to others. Raises OSError."""
        for path in (self._directory, self._content, self._users, self._partial):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def find(self, address: UploadAddress) -> Upload:
        """Returns what is there of a file, and notes that it is used."""
        note = self._note(address)
        if note.exists() and (self._content / address.key).exists():
            os.utime(note, (self._now(), self._now()))
            return Upload(address=address, received=address.size, used=self._now(), is_whole=True)
        try:
            status = self._part(address).stat()
        except FileNotFoundError:
            return Upload(address=address, received=0, used=0.0)
        return Upload(address=address, received=status.st_size, used=status.st_mtime)

    def open(self, address: UploadAddress) -> int:
        """Returns a descriptor of a whole file for reading. Raises UploadNotFound."""
        if self._note(address).exists():
            with suppress(FileNotFoundError):
                return os.open(self._content / address.key, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        raise UploadNotFound(address.owner, address.digest)

    def begin(self, address: UploadAddress, offset: int) -> "PartialUpload":
        """Opens a file to go on from an offset. Raises the errors of `domain.upload`, OSError."""
        if address.size > self._largest:
            raise UploadTooLarge(address.size, self._largest)
        part = self._part(address)
        with self._locked():
            used = sum(each.address.size for each in self.list(address.owner) if each.address != address)
            if used + address.size > self._quota:
                raise UploadQuotaReached(address.owner, used=used, size=address.size, quota=self._quota)
            self._check_space(address.size - offset)
            for directory in (part.parent, self._note(address).parent):
                directory.mkdir(mode=0o700, exist_ok=True)
                (directory / _OWNER_NAME).write_text(address.owner, encoding="utf-8")
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        upload = PartialUpload(address, descriptor, part, commit=self._commit)
        try:
            upload.reserve(offset)
        except BaseException:
            upload.close()
            raise
        return upload

    def list(self, owner: str) -> Sequence[Upload]:
        """Returns what an owner has uploaded or begun to, by digest."""
        found = {}
        for directory, whole in ((self._partial, False), (self._users, True)):
            for address, path in self._entries(directory / _hash(owner), owner):
                with suppress(FileNotFoundError):
                    status = path.stat()
                    received = address.size if whole else status.st_size
                    found[address.key] = Upload(
                        address=address, received=received, used=status.st_mtime, is_whole=whole
                    )
        return [found[key] for key in sorted(found)]

    def remove(self, address: UploadAddress) -> None:
        """Takes a file from its owner; the content goes with the last one who has it."""
        with self._locked():
            self._note(address).unlink(missing_ok=True)
            self._part(address).unlink(missing_ok=True)
            self._drop_unnoted(frozenset({address.key}), before=float("inf"))

    def collect(self, named: frozenset[str], *, before: float) -> Sequence[str]:
        """Removes what nobody names and nobody has used since a time, and returns the addresses of what went."""
        gone = []
        with self._locked():
            for directory in self._users.iterdir():
                owner = _owner_of(directory)
                for address, path in self._entries(directory, owner):
                    if address.uri not in named and path.stat().st_mtime < before:
                        path.unlink()
                        gone.append(address.uri)
            self._drop_unnoted(frozenset(path.name for path in self._content.iterdir()), before=before)
            for directory in self._partial.iterdir():
                for address, path in self._entries(directory, _owner_of(directory)):
                    if path.stat().st_mtime < before and _is_free(path):
                        path.unlink()
                        gone.append(address.uri)
        return gone

    def _commit(self, address: UploadAddress, part: Path) -> None:
        """Makes a proved part a whole file of its owner."""
        with self._locked():
            content = self._content / address.key
            if content.exists():
                part.unlink()
            else:
                part.rename(content)
                _sync(self._content)
            note = self._note(address)
            note.touch(mode=0o600)
            _sync(note.parent)

    def _drop_unnoted(self, keys: frozenset[str], *, before: float) -> None:
        """Removes contents that no owner has."""
        noted = {path.name for directory in self._users.iterdir() for path in directory.iterdir()}
        for key in keys - noted:
            path = self._content / key
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()

    def _entries(self, directory: Path, owner: str) -> Iterator[tuple[UploadAddress, Path]]:
        if not directory.is_dir():
            return
        for path in sorted(directory.iterdir()):
            address = UploadAddress.parse(f"upload:///{owner}/sha256-{path.name}")
            if address is not None:
                yield address, path

    def _check_space(self, needed: int) -> None:
        disk = shutil.disk_usage(self._directory)
        if disk.free < needed + min(SPARE_BYTES, disk.total // SPARE_SHARE):
            raise UploadNoSpace(needed)

    def _note(self, address: UploadAddress) -> Path:
        return self._users / _hash(address.owner) / address.key

    def _part(self, address: UploadAddress) -> Path:
        return self._partial / _hash(address.owner) / address.key

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lets one process at a time change what is whole. Nobody stays long."""
        with (self._directory / ".lock").open("a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class PartialUpload:
    """A file on its way; `received`: bytes that are there."""

    def __init__(
        self, address: UploadAddress, descriptor: int, path: Path, *, commit: Callable[[UploadAddress, Path], None]
    ) -> None:
        self._address, self._descriptor, self._path, self._commit = address, descriptor, path, commit
        self.received = 0

    def reserve(self, offset: int) -> None:
        """Keeps others out, who would write the same file. Raises UploadInProgress, UploadOffset."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UploadInProgress(self._address) from None
        self.received = os.lseek(self._descriptor, 0, os.SEEK_END)
        if self.received != offset:
            raise UploadOffset(offset, self.received)

    def close(self) -> None:
        """Closes it; what came stays."""
        os.close(self._descriptor)

    def write(self, content: bytes) -> None:
        """Appends bytes. Raises UploadOffset beyond the announced size, UploadNoSpace, OSError."""
        if self.received + len(content) > self._address.size:
            raise UploadOffset(self.received + len(content), self._address.size)
        view = memoryview(content)
        try:
            while view:
                written = os.write(self._descriptor, view)
                self.received += written
                view = view[written:]
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise UploadNoSpace(len(view)) from error
            raise

    def finish(self) -> None:
        """Proves the whole and keeps it. Raises UploadDigestMismatch, after which nothing of it is there; OSError."""
        os.fsync(self._descriptor)
        whole, offset = hashlib.sha256(), 0
        while part := os.pread(self._descriptor, PART_BYTES, offset):
            whole.update(part)
            offset += len(part)
        if (whole.hexdigest(), offset) != (self._address.hex, self._address.size):
            self._path.unlink(missing_ok=True)
            raise UploadDigestMismatch(self._address, f"sha256:{whole.hexdigest()}")
        self._commit(self._address, self._path)


def _hash(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest()[:32]


def _owner_of(directory: Path) -> str:
    try:
        return (directory / _OWNER_NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _is_free(path: Path) -> bool:
    """Returns whether no upload is writing a file."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
