"""The head of the chain: serves the blocks of one file to whoever brings the session's token.

It holds the whole file, so it is also the last resort of every node. It checks what it reads: a file that somebody
changes meanwhile is named as such, and not taken for a fault of the network.
"""

import asyncio
import hmac
import logging
import struct
import threading
from functools import partial
from types import TracebackType
from typing import Self

import blake3

from kadeploy_deployer.broadcast.manifest import Manifest
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.ports import OpenedFile

PROTOCOL = b"kabroadcast/1"
FRAME = struct.Struct(">cBI")
"""Kind, flag and length of what follows, as in the nodes' program."""
BLOCK = b"B"
FAILED = b"X"

_REQUEST_BOUND = 30.0
_REQUEST_LIMIT = 512
_READERS = 2

logger = logging.getLogger(__name__)


class BlockUnusable(Exception):
    """The file no longer gives a block that its manifest names; `str()` is a sentence."""


class Source:
    """A server for one session; an asynchronous context manager. Leaving it ends every connection."""

    def __init__(self, file: OpenedFile, manifest: Manifest, *, token: str, address: str, port: int) -> None:
        """Takes all that it serves.

        Args:
            file: stays open for as long as it is served.
            manifest: of that file.
            token: what a request must bring.
            address: where to listen; "" for everywhere.
            port: where to listen; 0 for any that is free.
        """
        self._file = file
        self._manifest = manifest
        self._token = token.encode()
        self._place = (address or None, port)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        # Threads of its own: a hash of another image, which takes minutes, must not hold up a chain.
        self._readers = FileThreads(in_all=_READERS, per_user=_READERS)
        self.port = port
        self.served_blocks: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        """Listens. Raises OSError."""
        self._server = await asyncio.start_server(self._connected, *self._place, limit=_REQUEST_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops listening and ends all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own, so that leaving the session can end it and wait for it.
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_BOUND):
                request = await reader.readuntil(b"\n")
            wanted = self._understand(request)
            if wanted is not None:
                await self._stream(writer, *wanted)
            writer.close()
            await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            # The node left, or it was no node; a node that gets no blocks says so itself.
            logger.debug("broadcast connection ended error=%r", error)
        finally:
            writer.transport.abort()

    def _understand(self, request: bytes) -> tuple[int, str] | None:
        """Returns the first block wanted and the node's name, None for a request that is none or has no right."""
        protocol, token, first, name = (*request.strip().split(b" "), b"", b"", b"", b"")[:4]
        if protocol != PROTOCOL or not first.isdigit() or not hmac.compare_digest(token, self._token):
            logger.warning("broadcast request refused")
            return None
        return int(first), name.decode(errors="replace")

    async def _stream(self, writer: asyncio.StreamWriter, first: int, name: str) -> None:
        for index in range(first, len(self._manifest.blocks)):
            try:
                block = await self._readers.run(partial(self._read, index))
            except BlockUnusable as error:
                logger.error("broadcast source failed file=%s block=%s error=%s", self._file.name, index, error)  # noqa: TRY400
                sentence = str(error).encode()
                writer.write(FRAME.pack(FAILED, 0, len(sentence)) + sentence)
                return
            writer.write(FRAME.pack(BLOCK, 0, len(block)))
            writer.write(block)
            await writer.drain()
            self.served_blocks[name] = self.served_blocks.get(name, 0) + 1

    def _read(self, index: int, _stopped: threading.Event) -> bytes:
        length = self._manifest.length(index)
        try:
            block = self._file.read_at(index * self._manifest.block_size, length)
        except OSError as error:
            raise BlockUnusable(f"reading {self._file.name} failed: {error.strerror}") from error
        if len(block) != length or blake3.blake3(block).digest() != self._manifest.blocks[index]:
            raise BlockUnusable(f"{self._file.name} was changed while it was being sent")
        return block
