"""Joins the layers of a container image to one tar archive, as an image of a system.

Nothing is unpacked on this host: members go from one archive into the other, so that owners, modes and attributes stay
as they are, and no name can lead anywhere.
"""

import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from kadeploy_cli.terminal.failures import UsageFailure

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
INITS = ("sbin/init", "usr/sbin/init", "lib/systemd/systemd", "usr/lib/systemd/systemd")
SERVERS = ("usr/sbin/sshd", "usr/sbin/dropbear", "usr/bin/dropbear")
LEFT_OUT = (".dockerenv", "run/.containerenv")
MOST_MEMBERS = 5_000_000
ZSTD = b"\x28\xb5\x2f\xfd"
# Of the member's old name and place, and not of its new one.
_STALE_HEADERS = ("path", "linkpath", "size")


@dataclass(slots=True)
class RootFileSystem:
    """What the layers come to: the layer of each path, and where symbolic links lead."""

    layers: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, layer: int, member: tarfile.TarInfo) -> None:
        """Takes a member of a layer, which stands above all before it."""
        folder, _, base = name.rpartition("/")
        if base == OPAQUE:
            self._drop_below(folder, before=layer)
        elif base.startswith(WHITEOUT):
            gone = f"{folder}/{base.removeprefix(WHITEOUT)}".lstrip("/")
            self._drop(gone)
            self._drop_below(gone, before=layer)
        else:
            if not member.isdir():
                self._drop_below(name, before=layer)
            self.layers[name] = layer
            self.links.pop(name, None)
            if member.issym():
                self.links[name] = member.linkname

    def has(self, path: str) -> bool:
        """Returns whether a path leads to something, links of the image followed."""
        return self._resolved(path) is not None

    def first(self, paths: Sequence[str]) -> str:
        """Returns the first of the paths that leads to something, empty if none does."""
        return next((path for path in paths if self.has(path)), "")

    def below(self, folder: str, beginning: str) -> list[str]:
        """Returns the paths in a folder whose names begin so, sorted."""
        return sorted(name for name in self.layers if name.startswith(f"{folder}/{beginning}") and name.count("/") == 1)

    def _resolved(self, path: str) -> str | None:
        pending, found, left = list(reversed(path.split("/"))), list[str](), 40
        while pending:
            part = pending.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                del found[-1:]
                continue
            found.append(part)
            target = self.links.get("/".join(found))
            if target is not None:
                left -= 1
                if not left:
                    return None
                found = [] if target.startswith("/") else found[:-1]
                pending.extend(reversed(target.split("/")))
        name = "/".join(found)
        return name if name in self.layers else None

    def _drop(self, name: str) -> None:
        self.layers.pop(name, None)
        self.links.pop(name, None)

    def _drop_below(self, folder: str, *, before: int) -> None:
        prefix = f"{folder}/" if folder else ""
        for name in [name for name, layer in self.layers.items() if name.startswith(prefix) and layer < before]:
            self._drop(name)


def read(layers: Sequence[Path]) -> RootFileSystem:
    """Returns what layers come to. Raises UsageFailure for one that cannot be read, or whose names lead outside."""
    found, count = RootFileSystem(), 0
    for number, layer in enumerate(layers):
        with _opened(layer) as archive:
            for member in archive:
                count += 1
                if count > MOST_MEMBERS:
                    raise UsageFailure(f"the image has more than {MOST_MEMBERS} files")
                if name := plain_name(member.name):
                    found.add(name, number, member)
    for name in LEFT_OUT:
        found.layers.pop(name, None)
    return found


def write(layers: Sequence[Path], found: RootFileSystem, target: Path) -> None:
    """Writes the archive, compressed by zstd. It appears when it is whole. Raises UsageFailure."""
    scratch = target.with_name(f".{target.name}.making")
    try:
        with (
            scratch.open("wb") as out,
            _packer(out) as entry,
            tarfile.open(fileobj=entry, mode="w|", format=tarfile.PAX_FORMAT) as made,
        ):
            for number, layer in enumerate(layers):
                with _opened(layer) as archive:
                    _copy(archive, number, found, made)
        scratch.replace(target)
    except OSError as error:
        raise UsageFailure(f"{target} cannot be written: {error.strerror}") from None
    finally:
        scratch.unlink(missing_ok=True)


def plain_name(name: str) -> str:
    """Returns a member's name as a path from the root; empty for the root itself. Raises UsageFailure."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise UsageFailure(f"the image has a file {name!r}, whose name leads outside of it")
    return "/".join(parts)


def _copy(archive: tarfile.TarFile, number: int, found: RootFileSystem, made: tarfile.TarFile) -> None:
    """Copies the members of a layer that no later one replaces. The last of a name in its layer counts."""
    last = {plain_name(member.name): member for member in archive}
    for name, member in last.items():
        if found.layers.get(name) != number:
            continue
        member.name = name
        kept = {key: value for key, value in member.pax_headers.items() if key not in _STALE_HEADERS}
        member.pax_headers = kept
        content: IO[bytes] | None = None
        if member.islnk():
            member.linkname = plain_name(member.linkname)
            if found.layers.get(member.linkname) != number:
                # What it is a second name of is another file by now: it has the content of its own layer.
                original = last.get(member.linkname)
                if original is not None and original.isreg():
                    content = archive.extractfile(original)
                    member.type, member.size, member.linkname = tarfile.REGTYPE, original.size, ""
        elif member.isreg():
            content = archive.extractfile(member)
        made.addfile(member, content)


@contextmanager
def _opened(layer: Path) -> Iterator[tarfile.TarFile]:
    try:
        with layer.open("rb") as file, tempfile.TemporaryFile() as plain:
            begin = file.read(len(ZSTD))
            file.seek(0)
            if begin == ZSTD:
                subprocess.run(("zstd", "-dcq", "--long=31"), stdin=file, stdout=plain, check=True)
                plain.seek(0)
            with tarfile.open(fileobj=plain if begin == ZSTD else file) as archive:
                yield archive
    except (tarfile.TarError, OSError, EOFError, subprocess.CalledProcessError) as error:
        raise UsageFailure(f"a layer of the image cannot be read: {error}") from None


@contextmanager
def _packer(out: IO[bytes]) -> Iterator[IO[bytes]]:
    if shutil.which("zstd") is None:
        raise UsageFailure("zstd is not installed here, which packs the image")
    with subprocess.Popen(("zstd", "-q", "-T0"), stdin=subprocess.PIPE, stdout=out) as packing:
        entry = packing.stdin
        if entry is None:
            raise UsageFailure("zstd takes no input")
        try:
            yield entry
        except BaseException:
            packing.kill()
            raise
        entry.close()
        if packing.wait():
            raise UsageFailure("zstd could not pack the image")
