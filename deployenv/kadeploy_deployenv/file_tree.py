"""The content of an image before it is packed: paths, modes and bytes, all owned by root.

Nothing here touches the owner or mode of a file on this machine, so images are built without root.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path of an image; `content` is a file's bytes or a symbolic link's target."""

    path: str
    mode: int
    content: bytes = b""


class FileTree:
    """Collects entries; a path added twice keeps the later entry."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def __contains__(self, path: str) -> bool:
        return _clean(path) in self._entries

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Adds a directory."""
        self._put(path, stat.S_IFDIR | mode, b"")

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Adds a regular file."""
        self._put(path, stat.S_IFREG | mode, content)

    def symlink(self, path: str, target: str) -> None:
        """Adds a symbolic link."""
        self._put(path, stat.S_IFLNK | 0o777, target.encode())

    def copy_tree(self, source: Path) -> None:
        """Adds everything below `source`; a file is executable here if it is executable there."""
        for folder, folders, files in os.walk(source):
            for name in sorted(folders + files):
                path = Path(folder, name)
                target = path.relative_to(source).as_posix()
                if path.is_symlink():
                    self.symlink(target, str(path.readlink()))
                elif path.is_dir():
                    self.directory(target)
                else:
                    executable = path.stat().st_mode & stat.S_IXUSR
                    self.file(target, path.read_bytes(), 0o755 if executable else 0o644)

    def entries(self) -> Iterator[Entry]:
        """Yields the entries sorted by path, each after the directories that lead to it."""
        complete = dict(self._entries)
        for path in self._entries:
            for parent in PurePosixPath(path).parents:
                if str(parent) != ".":
                    default = Entry(path=str(parent), mode=stat.S_IFDIR | 0o755)
                    complete.setdefault(str(parent), default)
        # Compared part by part, so that "a/b" stands before "a-c" but always after "a".
        yield from sorted(complete.values(), key=lambda entry: entry.path.split("/"))

    def _put(self, path: str, mode: int, content: bytes) -> None:
        clean = _clean(path)
        self._entries[clean] = Entry(path=clean, mode=mode, content=content)


def _clean(path: str) -> str:
    parts = PurePosixPath(path.lstrip("/")).parts
    if not parts or ".." in parts:
        raise ValueError(f"not a path inside an image: {path!r}")
    return "/".join(parts)
