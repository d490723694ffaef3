"""Reads single files out of an image that is a tar archive, without unpacking it.

Links are followed inside the archive as the new system would follow them. Nothing is ever written under a name that
comes out of an archive. Synchronous: it runs in threads.
"""

import io
import os
import tarfile
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from kadeploy_deployer.adapters.unpacked_stream import PROGRAMS, UnpackedStream
from kadeploy_deployer.adapters.verifying_reader import VerifyingReader
from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.ports import ImageError, OpenedFile

LARGEST_FILE = 1 << 30
"""No kernel and no initrd is larger."""

_MOST_LINKS = 40
_MOST_MEMBERS = 5_000_000
_PART_BYTES = 1 << 20
_BOOT_DIRECTORY = "boot"
_MOST_KEPT_BYTES = 2 << 30
"""Of files that may be wanted, kept while the archive goes by; beyond that it is read a second time."""


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
    if registered.compression not in PROGRAMS:
        raise ImageError(f"{image.name} has the unknown compression {registered.compression}")
    # A link may stand before or after what it leads to, so what may be wanted is kept aside while the archive goes by.
    # All of it is proved, for its owner may write into it meanwhile.
    index = _Index()
    with tempfile.TemporaryDirectory(dir=next(iter(wanted)).parent, prefix=".kept-") as directory:
        kept = _Kept(Path(directory), wanted.values())
        with _members(image, registered, stopped) as members:
            for count, (archive, member) in enumerate(members):
                if count >= _MOST_MEMBERS:
                    raise ImageError(f"{image.name} has more than {_MOST_MEMBERS} members")
                index.add(member)
                if member.isreg():
                    kept.take(archive, member)
        local: dict[str, list[Path]] = {}
        for target, path in wanted.items():
            local.setdefault(index.resolve(path), []).append(target)
        missing = {name: targets for name, targets in local.items() if not kept.give(name, targets)}
    if not missing:
        return
    with _members(image, registered, stopped) as members:
        for archive, member in members:
            targets = missing.get(_plain(member.name))
            if targets and member.isreg():
                _copy(archive, member, targets)


class _Kept:
    """Files of an archive that may be wanted: those of /boot and of the root, and those of a wanted name."""

    def __init__(self, directory: Path, wanted: Iterable[str]) -> None:
        self._directory = directory
        self._names = {path.rpartition("/")[2] for path in wanted}
        self._files: dict[str, Path] = {}
        self._bytes = 0
        self._count = 0

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Keeps a file if it may be wanted; a later one of its name takes its place."""
        name = _plain(member.name)
        self._files.pop(name, None)
        folder, _, base = name.rpartition("/")
        likely = folder in {"", _BOOT_DIRECTORY} or base in self._names
        if not likely or member.size > LARGEST_FILE or self._bytes + member.size > _MOST_KEPT_BYTES:
            return
        self._bytes += member.size
        path = self._directory / str(self._count)
        self._count += 1
        _copy(archive, member, [path])
        self._files[name] = path

    def give(self, name: str, targets: list[Path]) -> bool:
        """Puts a file where it is wanted; False if it was not kept."""
        path = self._files.get(name)
        if path is None:
            return False
        for target in targets:
            target.unlink(missing_ok=True)
            target.hardlink_to(path)
        return True


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
            UnpackedStream(packed, registered.compression, problem=problem, stopped=stopped) as content,
            tarfile.open(fileobj=_buffered(content), mode="r|", bufsize=_PART_BYTES) as archive,
        ):
            yield _passing(archive)
        packed.end()
    except (tarfile.TarError, EOFError) as error:
        raise ImageError(f"{problem}: {error}") from error


def _buffered(content: UnpackedStream) -> IO[bytes]:
    return io.BufferedReader(content, _PART_BYTES)


def _passing(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    for member in archive:
        yield archive, member
        # It would remember every member, and an image may have a million.
        archive.members = []  # type: ignore[attr-defined]


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _plain(name: str) -> str:
    """Returns a member's name as a path from the root of the image."""
    return "/".join(part for part in _parts(name) if part != "..")
