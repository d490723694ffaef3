"""A file that was opened once and is read through that descriptor alone."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

Identity = tuple[int, int, int, int, int]
"""Device, inode, times of the last changes to inode and content, size: with another one it may be another file."""


class OpenedFile:
    """A file of which nothing is ever looked up by its name again: the name may lead elsewhere a moment later.

    A context manager; leaving it closes the file as soon as no thread reads it any more. Whatever asks the file system
    may block, and belongs into a thread.
    """

    def __init__(self, descriptor: int, *, name: str) -> None:
        """Takes a descriptor over.

        Args:
            descriptor: opened for reading; closed by this object.
            name: what messages call the file.
        """
        self.name = name
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._users = 1
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, name: str = "") -> Self:
        """Opens a file whose path is the deployer's own, and which is no link. Raises OSError."""
        return cls(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), name=name or str(path))

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self.close()

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._leave()

    @contextmanager
    def in_use(self) -> Iterator[int]:
        """Gives the descriptor, which stays open meanwhile. Raises OSError if the file was closed before."""
        with self._lock:
            if self._closed:
                raise OSError(f"{self.name} was closed")
            self._users += 1
        try:
            yield self._descriptor
        finally:
            self._leave()

    def identity(self) -> Identity:
        """Returns what the file is now. Raises OSError."""
        with self.in_use() as descriptor:
            status = os.fstat(descriptor)
        return status.st_dev, status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size

    def size(self) -> int:
        """Returns the number of bytes that it has now. Raises OSError."""
        return self.identity()[-1]

    def read_at(self, offset: int, length: int) -> bytes:
        """Returns so many bytes from an offset; fewer only at the end of the file. Raises OSError."""
        parts = []
        with self.in_use() as descriptor:
            while length and (part := os.pread(descriptor, length, offset)):
                parts.append(part)
                offset += len(part)
                length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            os.close(self._descriptor)
