"""What a file consists of, so that every node can prove every block before it passes it on. No network here."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

import blake3

from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.ports import OpenedFile
from kadeploy_deployer.ports.opened_file import Identity

SMALLEST_BLOCK = 256 << 10
LARGEST_BLOCK = 4 << 20
MOST_BLOCKS = 4096
"""Above this number the blocks grow, as far as the nodes' memory allows."""

_PAGE = 4096

_KEPT = 8
_AT_ONCE, _AT_ONCE_PER_USER = 8, 2


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


def compute_manifest(file: OpenedFile, *, stopped: threading.Event | None = None) -> Manifest:
    """Reads a file once and returns its manifest. Raises OSError, or Stopped soon after the event is set."""
    whole = hashlib.sha256()
    blocks = []
    size, end = 0, file.size()
    block_size = block_size_for(end)
    # What is written behind that end meanwhile would have no end of its own.
    while block := file.read_at(size, min(block_size, end - size)):
        if stopped is not None and stopped.is_set():
            raise Stopped
        whole.update(block)
        blocks.append(blake3.blake3(block).digest())
        size += len(block)
    return Manifest(size=size, block_size=block_size, blocks=tuple(blocks), sha256=whole.hexdigest())


class Manifests:
    """Computes manifests in threads and keeps the last few, so that a retry does not read the file again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Identity, Manifest] = OrderedDict()
        self._threads = FileThreads(in_all=_AT_ONCE, per_user=_AT_ONCE_PER_USER)

    async def of(self, file: OpenedFile, *, user: str = "") -> Manifest:
        """Returns the manifest of a file as it is now. Raises OSError."""
        identity = await self._threads.run(lambda _: file.identity(), user=user)
        if identity in self._kept:
            self._kept.move_to_end(identity)
            return self._kept[identity]
        manifest = await self._threads.run(lambda stopped: compute_manifest(file, stopped=stopped), user=user)
        self._kept[identity] = manifest
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return manifest
