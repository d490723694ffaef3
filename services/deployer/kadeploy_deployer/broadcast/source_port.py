"""The one port on which the nodes of all broadcasts reach the deployer, so that a firewall can name it.

A connection brings the token of its session in its first bytes. These are looked at and not read: the session's own
source gets the connection as the node began it. The port is open while there are sessions, and a thread of its own
looks at new connections, so that what else the deployer does delays no node.
"""

import hmac
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable

from kadeploy_deployer.broadcast.source_connection import REQUEST_LIMIT
from kadeploy_deployer.broadcast.source_request import UNDECIDED, brought_token

GREETING_SECONDS = 10.0
"""How long a connection may take to say which session it belongs to."""
PENDING_LIMIT = 1024
"""Connections that have not said so yet; beyond it the oldest is closed."""
STOP_SECONDS = 2.0
_TICK = 1.0
_BACKLOG = 512
# Told once for each arrival of bytes: those that are only looked at would be reported again and again.
_ARRIVALS = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET

Take = Callable[[socket.socket], None]
"""Hands a connection to its session; called from the thread of the port."""

logger = logging.getLogger(__name__)


class SourcePort:
    """Listens for the nodes of all sessions of one deployer."""

    def __init__(self, *, address: str, port: int) -> None:
        """Opens nothing yet.

        Args:
            address: where to listen; "" for everywhere.
            port: where to listen; 0 for any that is free when the first session begins.
        """
        self._address = address
        self._port = port
        self._lock = threading.Lock()
        self._sessions: dict[bytes, Take] = {}
        self._open: _OpenPort | None = None

    def enter(self, token: bytes, take: Take) -> int:
        """Begins to accept the nodes of a session and returns the port. Raises OSError if it cannot be had."""
        with self._lock:
            if self._open is None:
                self._open = _OpenPort(self._address, self._port, self._taker)
            self._sessions[token] = take
            return self._open.number

    def leave(self, token: bytes) -> None:
        """Accepts no more nodes of a session; closes the port behind the last one."""
        with self._lock:
            self._sessions.pop(token, None)
            closing, self._open = (self._open, None) if not self._sessions else (None, self._open)
        if closing is not None:
            closing.close()

    def _taker(self, brought: bytes) -> Take | None:
        with self._lock:
            for token, take in self._sessions.items():
                if hmac.compare_digest(token, brought):
                    return take
        return None


class _OpenPort:
    """The listening socket and its thread."""

    def __init__(self, address: str, port: int, taker: Callable[[bytes], Take | None]) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, port), family=family, backlog=_BACKLOG)
        self._listener.setblocking(False)
        self.number: int = self._listener.getsockname()[1]
        self._taker = taker
        self._pending: dict[int, tuple[socket.socket, float]] = {}
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._epoll.register(self._stop, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="broadcast-port", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening; nothing that its thread does takes longer than a moment."""
        os.eventfd_write(self._stop, 1)
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            while self._turn():
                self._close_late()
        except Exception:
            # Nodes notice that nobody answers, and say so.
            logger.exception("broadcast port has a fault port=%s", self.number)
        finally:
            self._listener.close()
            for connection, _ in self._pending.values():
                connection.close()
            self._epoll.close()
            os.close(self._stop)

    def _turn(self) -> bool:
        """Does what is to be done now; returns whether to go on."""
        for number, _ in self._epoll.poll(_TICK):
            if number == self._stop:
                return False
            if number == self._listener.fileno():
                self._accept()
            elif number in self._pending:
                self._look_at(number)
        return True

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError as error:
            # It left meanwhile, or this process has no descriptor to spare: it asks again.
            logger.debug("broadcast connection not accepted error=%r", error)
            return
        accepted.setblocking(False)
        if len(self._pending) >= PENDING_LIMIT:
            self._forget(next(iter(self._pending))).close()
        self._pending[accepted.fileno()] = (accepted, time.monotonic() + GREETING_SECONDS)
        self._epoll.register(accepted.fileno(), _ARRIVALS)

    def _look_at(self, number: int) -> None:
        connection, _ = self._pending[number]
        try:
            begun = connection.recv(REQUEST_LIMIT, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            begun = b""
        brought = brought_token(begun) if begun else None
        if brought == UNDECIDED and len(begun) < REQUEST_LIMIT:
            return
        self._forget(number)
        take = self._taker(brought) if brought else None
        if take is None:
            # It left, or it is no node of a broadcast: it learns nothing here.
            connection.close()
        else:
            take(connection)

    def _close_late(self) -> None:
        now = time.monotonic()
        # In the order in which they came.
        for number, (connection, bound) in tuple(self._pending.items()):
            if bound > now:
                return
            self._forget(number)
            connection.close()

    def _forget(self, number: int) -> socket.socket:
        connection, _ = self._pending.pop(number)
        self._epoll.unregister(number)
        return connection
