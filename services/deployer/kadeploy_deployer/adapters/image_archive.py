"""Reads single files out of an image that is a tar archive, without unpacking it.

Links are followed inside the archive as the new system would follow them. Nothing is ever written under a name that
comes out of an archive. Synchronous: it runs in threads.
"""

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kadeploy_deployer.adapters.verifying_reader import VerifyingReader
from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.ports import ImageError, OpenedFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST_FILE = 1 << 30
"""No kernel and no initrd is larger."""

_MOST_LINKS = 40
_MOST_MEMBERS = 5_000_000
_PART_BYTES = 1 << 20
_Unpack = Callable[[IO[bytes]], AbstractContextManager[IO[bytes]]]
# Each gives as many bytes as it is asked for, however many a few packed ones stand for.
_UNPACKED: Mapping[str, Any] = {
    "none": lambda file: file,
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zstd": zstd.ZstdFile,
}
_UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError)


@dataclass(slots=True)
class _Index:
    """What an archive holds, as far as finding a file needs it; a later member of a name replaces an earlier one."""

    files: set[str] = field(default_factory=set)
    symbolic: dict[str, str] = field(default_factory=dict)
    hard: dict[str, str] = field(default_factory=dict)

    def add(self, member: tarfile.TarInfo) -> None:
        name = _plain(member.name)
        self.files.discard(name)
        self.symbolic.pop(name, None)
        self.hard.pop(name, None)
        if member.issym():
            self.symbolic[name] = member.linkname
        elif member.islnk():
            self.hard[name] = _plain(member.linkname)
        elif member.isreg():
            self.files.add(name)

    def resolve(self, path: str) -> str:
        """Returns the name of the file that a path leads to; raises ImageError."""
        pending = list(reversed(_parts(path)))
        found: list[str] = []
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                del found[-1:]
                continue
            found.append(part)
            target = self.symbolic.get("/".join(found))
            if target is not None:
                links += 1
                if links > _MOST_LINKS:
                    raise ImageError(f"the image has too many links on the way to {path}")
                found = [] if target.startswith("/") else found[:-1]
                pending.extend(reversed(_parts(target)))
        name = "/".join(found)
        for _ in range(_MOST_LINKS):
            if name in self.files:
                return name
            name = self.hard.get(name, "")
        raise ImageError(f"the image has no file {path}{self._hint('/'.join(found), path)}")

    def _hint(self, found: str, path: str) -> str:
        followed = f" (it leads to /{found})" if found != _plain(path) else ""
        folder = found.rpartition("/")[0] or "boot"
        near = sorted(name for name in self.files if name.rpartition("/")[0] in {folder, "boot"})[:5]
        return f"{followed}; it has {', '.join(f'/{name}' for name in near)}" if near else followed


def extract(
    image: OpenedFile, registered: FileSnapshot, wanted: Mapping[Path, str], *, stopped: threading.Event
) -> None:
    """Writes files of an image to local paths, out of the very content that is registered.

    Args:
        image: a tar archive.
        registered: its compression, digest and size.
        wanted: local path -> path in the image. Local paths are the caller's alone; they are overwritten.
        stopped: set when nobody wants the files any more.

    Raises:
        ImageError: not an archive, not the registered one (DigestDiffers), or a path leads to no file in it.
        OSError: a local path cannot be written.
    """
    if registered.compression not in _UNPACKED:
        raise ImageError(f"{image.name} has the unknown compression {registered.compression}")
    # Twice through the archive: a link may stand before or after what it leads to. Both times the whole is proved, for
    # its owner may write into it meanwhile.
    index = _Index()
    with _members(image, registered, stopped) as members:
        for count, (_, member) in enumerate(members):
            if count >= _MOST_MEMBERS:
                raise ImageError(f"{image.name} has more than {_MOST_MEMBERS} members")
            index.add(member)
    local: dict[str, list[Path]] = {}
    for target, path in wanted.items():
        local.setdefault(index.resolve(path), []).append(target)
    with _members(image, registered, stopped) as members:
        for archive, member in members:
            targets = local.get(_plain(member.name))
            if targets and member.isreg():
                _copy(archive, member, targets)


def _copy(archive: tarfile.TarFile, member: tarfile.TarInfo, targets: list[Path]) -> None:
    if member.size > LARGEST_FILE:
        raise ImageError(f"/{_plain(member.name)} has {member.size} bytes, which is too much for a kernel or an initrd")
    content = archive.extractfile(member)
    if content is None:
        raise ImageError(f"/{_plain(member.name)} cannot be read from the image")
    with targets[0].open("wb") as file:
        while part := content.read(_PART_BYTES):
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    for target in targets[1:]:
        target.unlink(missing_ok=True)
        target.hardlink_to(targets[0])


@contextmanager
def _members(
    image: OpenedFile, registered: FileSnapshot, stopped: threading.Event
) -> Iterator[Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]]:
    """Gives the members of an archive as they come by; errors of the archive are ImageErrors."""
    packed = VerifyingReader(image, registered, stopped)
    problem = f"{image.name} is no readable {registered.compression} tar archive"
    try:
        with (
            _UNPACKED[registered.compression](io.BufferedReader(packed, _PART_BYTES)) as content,
            tarfile.open(
                fileobj=io.BufferedReader(_ArchiveReader(content, problem, stopped), _PART_BYTES),
                mode="r|",
                bufsize=_PART_BYTES,
            ) as archive,
        ):
            yield _passing(archive)
        packed.end()
    except (tarfile.TarError, EOFError) as error:
        raise ImageError(f"{problem}: {error}") from error


def _passing(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    for member in archive:
        yield archive, member
        # It would remember every member, and an image may have a million.
        archive.members = []  # type: ignore[attr-defined]


class _ArchiveReader(io.RawIOBase):
    """A stream whose faults are ImageErrors, and which breaks off when it is not wanted any more."""

    def __init__(self, content: IO[bytes], problem: str, stopped: threading.Event) -> None:
        self._content = content
        self._problem = problem
        self._stopped = stopped

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Reads on."""
        if self._stopped.is_set():
            raise ImageError("reading the image was given up")
        view = memoryview(buffer)
        try:
            part = self._content.read(len(view))
        except _UNREADABLE as error:
            raise ImageError(f"{self._problem}: {error}") from error
        view[: len(part)] = part
        return len(part)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _plain(name: str) -> str:
    """Returns a member's name as a path from the root of the image."""
    return "/".join(part for part in _parts(name) if part != "..")
