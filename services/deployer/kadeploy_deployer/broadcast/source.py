"""The head of the chains: serves one file, as a stream, to the nodes that bring the session's token.

It holds the whole file, so it is also the last resort of every node. A thread of its own serves all nodes, so that what
else the deployer does holds up no chain. What it sends is not read here; when a node says that a block is wrong, that
block is read and checked: a file that somebody changes meanwhile is named as such.
"""

import asyncio
import logging
import os
import select
import socket
import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

import blake3

from kadeploy_deployer.broadcast.manifest import Manifest
from kadeploy_deployer.broadcast.source_connection import READ, SourceConnection
from kadeploy_deployer.broadcast.source_port import SourcePort
from kadeploy_deployer.broadcast.source_request import Wanted
from kadeploy_deployer.ports import OpenedFile

HEARTBEAT_SECONDS = 0.2
STOP_SECONDS = 2.0
"""How long the thread is given to end."""
_TICK = 0.1
_CONNECTION_LIMIT = 4096

logger = logging.getLogger(__name__)


class Source:
    """A server for one session; an asynchronous context manager. Leaving it ends every connection and its thread.

    Attributes:
        far: how far the farthest first node of a chain is.
        served_bytes: by the name of the node.
    """

    def __init__(self, file: OpenedFile, manifest: Manifest, *, token: str, port: SourcePort) -> None:
        """Takes all that it serves.

        Args:
            file: stays open for as long as it is served.
            manifest: of that file.
            token: what a request must bring.
            port: where nodes reach it; several sources share one.
        """
        self.manifest = manifest
        self.content = manifest.content
        self.descriptor = -1
        self.token = token.encode()
        self.port = 0
        self.served_bytes: dict[str, int] = {}
        self._file = file
        self._name = file.name
        self._source_port = port
        self._arrived: deque[socket.socket] = deque()
        self._heads: dict[int, SourceConnection] = {}
        self._connections: dict[int, SourceConnection] = {}
        self.far = 0
        self._thread = threading.Thread(target=self._run, name="broadcast-source", daemon=True)

    async def __aenter__(self) -> Self:
        """Accepts the nodes that bring the token. Raises OSError if the port cannot be had."""
        self._arrival = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            self.port = self._source_port.enter(self.token, self._take)
        except OSError:
            os.close(self._arrival)
            raise
        self._epoll = select.epoll()
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll.register(self._arrival, READ)
        self._epoll.register(self._stop, READ)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops listening and ends all connections."""
        # No connection arrives after this.
        await asyncio.to_thread(self._source_port.leave, self.token)
        os.eventfd_write(self._stop, 1)
        try:
            # Not in the event loop: a server of files that is away does not answer the thread.
            await asyncio.to_thread(self._thread.join, STOP_SECONDS)
        finally:
            if self._thread.is_alive():
                logger.error("broadcast source does not end name=%s", self._name)
                threading.Thread(target=self._close, name="broadcast-source-end", daemon=True).start()
            else:
                self._close()

    def wants(self, connection: SourceConnection, wanted: Wanted) -> None:
        """As in the protocol of SourceConnection."""
        if wanted.position < 0:
            connection.beat(self.far)
            return
        fault = self._fault_of(wanted.wrong)
        if fault:
            logger.error("broadcast source failed name=%s block=%s error=%s", self._name, wanted.wrong, fault)
            connection.refuse(fault)
            return
        head = self._heads.get(wanted.chain)
        if connection.place is not None:
            if head is not None and head is not connection and head.place is not None:
                name = head.place.name
                if name == connection.place.name:
                    head.close()
                elif wanted.displaces(name, moved=head.moved):
                    head.send_on(connection.place)
                else:
                    connection.send_on(head.place)
                    return
            self._heads[wanted.chain] = connection
        connection.stream(wanted)

    def ended(self, connection: SourceConnection) -> None:
        """As in the protocol of SourceConnection."""
        self._connections.pop(connection.number, None)
        for chain, head in tuple(self._heads.items()):
            if head is connection:
                del self._heads[chain]

    def sent(self, name: str, count: int) -> None:
        """As in the protocol of SourceConnection."""
        self.served_bytes[name] = self.served_bytes.get(name, 0) + count

    def _run(self) -> None:
        try:
            # A use of its own: a read that gets no answer may outlive the session.
            with self._file.in_use() as self.descriptor:
                self._serve()
        except Exception:
            # The nodes notice, and say so.
            logger.exception("broadcast source has a fault name=%s", self._name)
        finally:
            for connection in tuple(self._connections.values()):
                connection.close()

    def _serve(self) -> None:
        beaten = 0.0
        while self._turn():
            now = time.monotonic()
            if now - beaten >= HEARTBEAT_SECONDS:
                beaten = now
                self._beat()

    def _close(self) -> None:
        self._thread.join()
        while self._arrived:
            self._arrived.popleft().close()
        self._epoll.close()
        os.close(self._stop)
        os.close(self._arrival)

    def _turn(self) -> bool:
        """Does what is to be done now; returns whether to go on."""
        for number, events in self._epoll.poll(_TICK):
            if number == self._stop:
                return False
            if number == self._arrival:
                os.eventfd_read(self._arrival)
                self._accept()
                continue
            connection = self._connections.get(number)
            if connection is not None:
                connection.handle(events)
        return True

    def _beat(self) -> None:
        now = time.monotonic()
        self.far = max([self.far, *(head.acknowledged for head in self._heads.values())])
        for head in tuple(self._heads.values()):
            if head.is_silent(now):
                # Its place is free for whoever asks next, who need not know that it is dead.
                head.close()
        for connection in tuple(self._connections.values()):
            connection.beat(self.far)

    def _take(self, connection: socket.socket) -> None:
        """Takes a node's connection over from the thread of the port."""
        self._arrived.append(connection)
        os.eventfd_write(self._arrival, 1)

    def _accept(self) -> None:
        while self._arrived:
            accepted = self._arrived.popleft()
            if len(self._connections) >= _CONNECTION_LIMIT:
                accepted.close()
                continue
            connection = SourceConnection(accepted, self._epoll, self)
            self._connections[connection.number] = connection

    def _fault_of(self, block: int) -> str:
        """Returns what is wrong with the file, and with a block as it gives it now; nothing when all is right."""
        length = self.manifest.length(block) if 0 <= block < len(self.manifest.blocks) else 0
        start, content = block * self.manifest.block_size, b""
        try:
            if os.fstat(self.descriptor).st_size != self.manifest.size:
                return f"{self._name} was changed while it was being sent"
            while len(content) < length and (
                part := os.pread(self.descriptor, length - len(content), start + len(content))
            ):
                content += part
        except OSError as error:
            return f"reading {self._name} failed: {error.strerror}"
        if length and blake3.blake3(content).digest() != self.manifest.blocks[block]:
            return f"{self._name} was changed while it was being sent"
        return ""
