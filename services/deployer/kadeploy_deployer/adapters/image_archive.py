"""Reads single files out of an image that is a tar archive, without unpacking it.

Links are followed inside the archive as the new system would follow them. Nothing is ever written under a name that
comes out of an archive. Synchronous: it runs in threads.
"""

import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from kadeploy_deployer.ports import ImageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST_FILE = 1 << 30
"""No kernel and no initrd is larger."""

_MOST_LINKS = 40
_MOST_MEMBERS = 5_000_000
_PART_BYTES = 1 << 20
_Mode = Literal["r|", "r|gz", "r|bz2", "r|xz"]
_MODES: Mapping[str, _Mode] = {"none": "r|", "gzip": "r|gz", "bzip2": "r|bz2", "xz": "r|xz", "zstd": "r|"}


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


def extract(image: Path, compression: str, wanted: Mapping[Path, str], *, stopped: threading.Event) -> None:
    """Writes files of an image to local paths.

    Args:
        image: a tar archive.
        compression: as in FileSnapshot.
        wanted: local path -> path in the image. Local paths are the caller's alone; they are overwritten.
        stopped: set when nobody wants the files any more.

    Raises:
        ImageError: not an archive, or a path leads to no file in it.
        OSError: a local path cannot be written.
    """
    if compression not in _MODES:
        raise ImageError(f"{image} has the unknown compression {compression}")
    # Twice through the archive: a link may stand before or after what it leads to.
    index = _Index()
    with _members(image, compression, stopped) as members:
        for count, (_, member) in enumerate(members):
            if count >= _MOST_MEMBERS:
                raise ImageError(f"{image} has more than {_MOST_MEMBERS} members")
            index.add(member)
    local: dict[str, list[Path]] = {}
    for target, path in wanted.items():
        local.setdefault(index.resolve(path), []).append(target)
    with _members(image, compression, stopped) as members:
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
    image: Path, compression: str, stopped: threading.Event
) -> Iterator[Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]]:
    """Gives the members of an archive as they come by; errors of the archive are ImageErrors."""
    try:
        with (
            _content(image, compression) as content,
            tarfile.open(
                fileobj=io.BufferedReader(_Stoppable(content, stopped), _PART_BYTES), mode=_MODES[compression]
            ) as archive,
        ):
            yield _passing(archive)
    except (tarfile.TarError, EOFError) as error:
        raise ImageError(f"{image} is no readable {compression} tar archive: {error}") from error


def _passing(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    for member in archive:
        yield archive, member
        # It would remember every member, and an image may have a million.
        archive.members = []  # type: ignore[attr-defined]


@contextmanager
def _content(image: Path, compression: str) -> Iterator[IO[bytes]]:
    if compression != "zstd":
        with image.open("rb") as file:
            yield file
        return
    # Python 3.11 has no zstd of its own.
    command, pipe = ["zstd", "-dcq", "--", str(image)], subprocess.PIPE
    try:
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise ImageError(f"zstd cannot be started on the deployer's host: {error.strerror}") from error
    with started as program:
        if program.stdout is None or program.stderr is None:
            raise ImageError(f"{image} cannot be decompressed: zstd has no output")
        try:
            yield program.stdout
            # tarfile stops at the end of the archive, which is a little before the end of the stream.
            while program.stdout.read(_PART_BYTES):
                pass
            words = program.stderr.read().decode(errors="replace").strip()
            if program.wait():
                raise ImageError(f"{image} cannot be decompressed: {words}")
        finally:
            program.kill()


class _Stoppable(io.RawIOBase):
    """A stream that breaks off when it is not wanted any more."""

    def __init__(self, content: IO[bytes], stopped: threading.Event) -> None:
        self._content = content
        self._stopped = stopped

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Reads on."""
        if self._stopped.is_set():
            raise ImageError("reading the image was given up")
        view = memoryview(buffer)
        part = self._content.read(len(view))
        view[: len(part)] = part
        return len(part)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _plain(name: str) -> str:
    """Returns a member's name as a path from the root of the image."""
    return "/".join(part for part in _parts(name) if part != "..")
