"""What a file consists of, so that every node can prove every block before it passes it on. No network here."""

import asyncio
import hashlib
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass

import blake3

SMALLEST_BLOCK = 256 << 10
LARGEST_BLOCK = 4 << 20
MOST_BLOCKS = 4096
"""Above this number the blocks grow, as far as the nodes' memory allows."""

_PAGE = 4096

_KEPT = 8
_Identity = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A file as its blocks. `blocks`: the BLAKE3 of each; `sha256`: of the whole, in hexadecimal."""

    size: int
    block_size: int
    blocks: tuple[bytes, ...]
    sha256: str

    @property
    def digest(self) -> str:
        """The digest in the form in which environments register it."""
        return f"sha256:{self.sha256}"

    @property
    def content(self) -> bytes:
        """The manifest as it goes over the wire, before the file: its digests, filled up to whole pages."""
        content = b"".join(self.blocks)
        return content + bytes(-len(content) % _PAGE)

    @property
    def content_digest(self) -> str:
        """The BLAKE3 of `content`, in hexadecimal."""
        return blake3.blake3(self.content).hexdigest()

    @property
    def proof(self) -> str:
        """The BLAKE3 of all digests, in hexadecimal: what a node says that has proved every block."""
        return blake3.blake3(b"".join(self.blocks)).hexdigest()

    def length(self, index: int) -> int:
        """Returns the number of bytes of a block."""
        return min(self.block_size, self.size - index * self.block_size)


class Stopped(Exception):
    """The computation was not wanted any more."""


def block_size_for(size: int) -> int:
    """Returns the size of the blocks that a file of this size is cut into."""
    block_size = SMALLEST_BLOCK
    while size > block_size * MOST_BLOCKS and block_size < LARGEST_BLOCK:
        block_size *= 2
    return block_size


def compute_manifest(descriptor: int, *, stopped: threading.Event | None = None) -> Manifest:
    """Reads an open file once and returns its manifest. Raises OSError, or Stopped soon after the event is set."""
    whole = hashlib.sha256()
    blocks = []
    size = 0
    block_size = block_size_for(os.fstat(descriptor).st_size)
    while block := _read_block(descriptor, size, block_size):
        if stopped is not None and stopped.is_set():
            raise Stopped
        whole.update(block)
        blocks.append(blake3.blake3(block).digest())
        size += len(block)
    return Manifest(size=size, block_size=block_size, blocks=tuple(blocks), sha256=whole.hexdigest())


def _read_block(descriptor: int, offset: int, length: int) -> bytes:
    """Returns a block; a shorter one only at the end of the file, also where reads come back short."""
    parts = []
    while length and (part := os.pread(descriptor, length, offset)):
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Manifests:
    """Computes manifests in threads and keeps the last few, so that a retry does not read the file again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Identity, Manifest] = OrderedDict()

    async def of(self, descriptor: int) -> Manifest:
        """Returns the manifest of an open file as it is now. Raises OSError."""
        identity = _identify(descriptor)
        if identity in self._kept:
            self._kept.move_to_end(identity)
            return self._kept[identity]
        stopped = threading.Event()
        # Of its own, because the thread may need a moment to stop after the caller has closed the other.
        own = os.dup(descriptor)
        computing = asyncio.ensure_future(asyncio.to_thread(compute_manifest, own, stopped=stopped))
        computing.add_done_callback(lambda ended: _close_after(ended, own))
        try:
            manifest = await asyncio.shield(computing)
        finally:
            stopped.set()
        self._kept[identity] = manifest
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return manifest


def _identify(descriptor: int) -> _Identity:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _close_after(computing: asyncio.Future[Manifest], descriptor: int) -> None:
    os.close(descriptor)
    if not computing.cancelled():
        # Also where nobody waits any more: that it was stopped is no news then.
        computing.exception()
