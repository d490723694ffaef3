"""Gives the blocks to the nodes behind this one."""

import hmac
import socket
import threading

from .document import Document
from .ring import Reader, Ring
from .wire import BLOCK, FRAME, GONE, HEARTBEAT, HELD, PROTOCOL, SLOW, WAIT, listen, receive_line

DOWNSTREAM_LIMIT = 16


class Server:
    """Gives the blocks to the nodes behind this one."""

    def __init__(self, document: Document, ring: Ring) -> None:
        self.document = document
        self.ring = ring
        self.listener = listen(document.address, document.port, backlog=DOWNSTREAM_LIMIT)
        self.port: int = self.listener.getsockname()[1]
        self.places = threading.Semaphore(DOWNSTREAM_LIMIT)

    def run(self) -> None:
        """Accepts connections for ever."""
        while True:
            connection, _ = self.listener.accept()
            if not self.places.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._answer(connection)
        except OSError:
            # The node behind left or was dropped; it asks another, and says so in its own result.
            return
        finally:
            self.places.release()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(self.document.stall_bound)
        protocol, token, first, name = (receive_line(connection).split(b" ") + [b""] * 4)[:4]
        if protocol != PROTOCOL or not first.isdigit():
            return
        if not hmac.compare_digest(token, self.document.token.encode()):
            return
        reader = Reader(int(first), name.decode(errors="replace"), connection)
        if reader.name in self.ring.dropped:
            connection.sendall(FRAME.pack(SLOW, 0, 0))
            return
        if not self.ring.join(reader):
            connection.sendall(FRAME.pack(GONE, 0, 0))
            return
        # From here on only the ring decides how long a node may take: it hangs up when that harms this one.
        connection.settimeout(None)
        try:
            self._stream(connection, reader)
        finally:
            self.ring.leave(reader)

    def _stream(self, connection: socket.socket, reader: Reader) -> None:
        while reader.position < len(self.document.hashes):
            block = self.ring.wait(reader, HEARTBEAT)
            flag = HELD if self.ring.held or self.ring.found_slow else 0
            if block is None:
                connection.sendall(FRAME.pack(WAIT, flag, 0))
                continue
            connection.sendall(FRAME.pack(BLOCK, flag, len(block)))
            connection.sendall(block)
            self.ring.advance(reader)
