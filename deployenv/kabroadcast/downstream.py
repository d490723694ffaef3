"""A connection of somebody behind this node, who watches it or receives the stream from it."""

import fcntl
import hmac
import json
import os
import socket
import struct
from typing import Protocol

from .loop import READ, WRITE, Loop
from .store import Store
from .wire import (
    DATA,
    FRAME,
    GONE,
    HEARTBEAT,
    LARGEST_FRAME,
    POSITION,
    PROBE,
    PROBE_BYTES,
    PROTOCOL,
    REQUEST_LIMIT,
    RETRACTED,
    SIOCOUTQ,
    Place,
    frame,
    read_place,
)

SEND_AT_ONCE = 1 << 20
SMALL = 32 << 10  # a frame whose bytes are copied sooner than the kernel is asked to send them from the memory file


class Owner(Protocol):
    """Who decides whom to serve."""

    token: bytes

    def wants(self, down: "Downstream", wanted: dict[str, object]) -> None:
        """Hears that somebody asks for the stream. Raises ValueError for a request that is none."""

    def ended(self, down: "Downstream") -> None:
        """Hears that a connection ended."""


class Downstream:
    """One connection.

    Attributes:
        place: where the other end listens itself; None before it said who it is.
        streaming: whether it is served.
        moved: whether it was passed by others before, and so is perhaps slow.
        sent: the position up to which the stream was sent.
        cost: seconds for which this node could receive nothing because of it.
    """

    def __init__(self, connection: socket.socket, store: Store, owner: Owner, loop: Loop) -> None:
        self.place: Place | None = None
        self.streaming = False
        self.moved = False
        self.sent = 0
        self.cost = 0.0
        self._socket: socket.socket | None = connection
        self._store = store
        self._owner = owner
        self._loop = loop
        self._requests = b""
        self._said = b""  # frames that go out before the next data
        self._header = b""  # of the current data frame
        self._left = 0  # bytes of the current data frame that are still to be sent
        self._back: int | None = None  # where to go on after the current data frame
        self._beaten = 0.0
        self._written = 0  # bytes, of whatever kind
        self._taken = 0  # of these, acknowledged
        self._taken_at = 0.0
        self._ending = False
        self._events = READ
        loop.watch(connection.fileno(), READ, self._on_events)

    def stream(self, position: int, first: bytes) -> None:
        """Begins to serve from a position. `first`: frames that go before."""
        self.streaming, self.sent = True, position
        self.say(first)

    def say(self, content: bytes, *, last: bool = False) -> None:
        """Sends a frame as soon as the current one is complete. `last`: nothing comes after it."""
        self._said += content
        if last:
            self.streaming, self._ending = False, True
        self.pump()

    def retract(self, position: int) -> None:
        """Takes back what was sent from a position on."""
        if self.streaming and self.sent + self._left > position:
            self._said += frame(RETRACTED, POSITION.pack(position), position=position)
            self._back = position

    def beat(self, now: float, period: float) -> None:
        """Says that this node lives and how far it is, once in a period."""
        if self.place is not None and now - self._beaten >= period and not self._left and not self._said:
            self._beaten = now
            self._live()

    def is_silent(self, now: float, seconds: float) -> bool:
        """Returns whether the other end has acknowledged nothing for so long of what is on its way to it."""
        queued = self._queued()
        taken = self._written - queued
        if not queued or taken != self._taken:
            self._taken, self._taken_at = taken, now
            return False
        return now - self._taken_at > seconds

    def pump(self, fresh: memoryview | None = None) -> None:
        """Sends what can be sent now. `fresh`: the last bytes before the store's position, when they are at hand."""
        if self._socket is None:
            return
        events = READ
        try:
            self._send(self._socket, fresh)
        except BlockingIOError:
            events = READ | WRITE
        except OSError:
            # It left; it asks another, and says so in its own result.
            self.close()
            return
        if events != self._events:
            self._events = events
            self._loop.change(self._socket.fileno(), events)

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self.streaming = False
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None
            self._owner.ended(self)

    def _queued(self) -> int:
        """Returns how many bytes of what was written are not acknowledged."""
        if self._socket is None:
            return 0
        answer = fcntl.ioctl(self._socket.fileno(), SIOCOUTQ, struct.pack("i", 0))
        return int(struct.unpack("i", answer)[0])

    def _live(self) -> None:
        self.say(frame(HEARTBEAT, position=self._store.position))

    def _send(self, connection: socket.socket, fresh: memoryview | None) -> None:
        """Sends what there is. Raises BlockingIOError when the connection takes no more, or others have to wait."""
        store = self._store
        enough = self._written + SEND_AT_ONCE
        while True:
            if self._written > enough:
                raise BlockingIOError
            if self._header:
                count = connection.send(self._header, socket.MSG_MORE)
                self._header = self._header[count:]
                self._written += count
            elif self._left:
                count = self._give(connection)
                self.sent += count
                self._left -= count
                self._written += count
            elif self._back is not None:
                self.sent, self._back = self._back, None
            elif self._said:
                count = connection.send(self._said)
                self._said = self._said[count:]
                self._written += count
            elif not self.streaming or store.position <= self.sent:
                break
            elif not store.has(self.sent):
                self._said, self.streaming = frame(GONE, position=store.position), False
            else:
                self._begin_frame(connection, fresh)
        if self._ending:
            self._ending = False
            connection.shutdown(socket.SHUT_WR)

    def _begin_frame(self, connection: socket.socket, fresh: memoryview | None) -> None:
        """Begins a data frame; a small one whose bytes are at hand is sent in one call."""
        self._left = min(self._store.position - self.sent, LARGEST_FRAME)
        self._header = FRAME.pack(DATA, self._left, self._store.position)
        if fresh is None or len(fresh) != self._left or self._left > SMALL:
            return
        count = connection.sendmsg((self._header, fresh))
        self._written += count
        past = max(0, count - len(self._header))
        self._header = self._header[count:]
        self.sent += past
        self._left -= past

    def _give(self, connection: socket.socket) -> int:
        """Sends bytes of the current data frame, and returns how many."""
        store = self._store
        offset, length = store.extent(self.sent, self._left)
        if store.whole:
            return os.sendfile(connection.fileno(), store.descriptor, offset, length)
        # The kernel sends pages and not bytes: those of a sliding window change while they are on their way.
        return connection.send(os.pread(store.descriptor, length, offset))

    def _on_events(self, events: int) -> None:
        if events & ~WRITE:
            self._read()
        if events & WRITE:
            self.pump()

    def _read(self) -> None:
        if self._socket is None:
            return
        try:
            chunk = self._socket.recv(REQUEST_LIMIT)
            if not chunk or len(self._requests) > REQUEST_LIMIT:
                self.close()
                return
            *lines, self._requests = (self._requests + chunk).split(b"\n")
            for line in lines:
                self._understand(line)
        except BlockingIOError:
            return
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            # It left, or it is no node: it learns nothing here.
            self.close()

    def _understand(self, line: bytes) -> None:
        if self.place is None:
            protocol, token, text = (*line.split(b" ", 2), b"", b"")[:3]
            if protocol != PROTOCOL or not hmac.compare_digest(token, self._owner.token):
                raise ValueError("the request has no right")
            greeting = json.loads(text)
            self.place = read_place(greeting)
            self._live()
            return
        wanted = json.loads(line)
        if "go" in wanted:
            self._owner.wants(self, wanted["go"])
        elif "probe" in wanted and not self.streaming:
            self.say(frame(PROBE, bytes(PROBE_BYTES), position=self._store.position))
        elif "ping" in wanted:
            self._live()
