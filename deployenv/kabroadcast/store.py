"""The stream in memory: all of it where it fits, else its manifest and a sliding window of the file.

The memory is a memory file, so that the kernel can send from it, and give it to a pipe, without a copy. Positions count
bytes of the stream: the manifest first, then the file. There is no locking here: only the loop writes, and the sink
reads what is proved.
"""

import os

LEAST_BLOCKS = 4  # in the window, however little memory there is


class Store:
    """The bytes that came, by position.

    Attributes:
        total: the length of the stream.
        start: where the file begins in it.
        position: how many bytes came; those up to `proved` are right.
        low: the first byte of the file that is still there.
        whole: whether everything stays until the end.
    """

    def __init__(self, *, manifest_size: int, size: int, block_size: int, room: int) -> None:
        self.start = manifest_size
        self.total = manifest_size + size
        self.window = size
        if self.total > room:
            self.window = min(size, max(LEAST_BLOCKS, (room - manifest_size) // block_size) * block_size)
        self.whole = self.window == size
        self.position = 0
        self.proved = 0
        self.low = manifest_size
        self.descriptor = os.memfd_create("kabroadcast", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, manifest_size + self.window)

    def room(self) -> int:
        """Returns how many bytes may come now."""
        if self.whole:
            return self.total - self.position
        return min(self.total, self.low + self.window) - self.position

    def has(self, position: int) -> bool:
        """Returns whether the bytes from a position on can be given, once they came."""
        return position >= self.low or (self.low == self.start and position >= 0)

    def extent(self, position: int, length: int) -> tuple[int, int]:
        """Returns where the bytes of a position lie in the memory file, and how many of them lie side by side."""
        if position < self.start:
            return position, min(length, self.start - position)
        offset = position - self.start
        if not self.whole:
            offset %= self.window
            length = min(length, self.window - offset)
        return self.start + offset, length

    def add(self, content: memoryview) -> None:
        """Puts bytes at the position. There must be room."""
        while content:
            offset, length = self.extent(self.position, len(content))
            length = os.pwrite(self.descriptor, content[:length], offset)
            self.position += length
            content = content[length:]

    def read(self, position: int, length: int) -> bytes:
        """Returns a copy of bytes that came and are still there."""
        parts = []
        while length:
            offset, count = self.extent(position, length)
            part = os.pread(self.descriptor, count, offset)
            parts.append(part)
            position += len(part)
            length -= len(part)
        return b"".join(parts)

    def free(self) -> None:
        """Gives the memory back."""
        os.ftruncate(self.descriptor, 0)


def available_memory() -> int:
    """Returns the bytes that programs can still get."""
    with open("/proc/meminfo", "rb") as table:  # noqa: PTH123 - pathlib would double the time that the imports take
        for line in table:
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0
