"""A connection of a node to the deployer, which gives it the stream: by frames in a chain, plainly by HTTP.

The kernel sends the file; nothing of it is read here, unless a node says that it is wrong.
"""

import fcntl
import hmac
import json
import os
import select
import socket
import struct
from typing import Protocol

from kadeploy_deployer.broadcast.instructions import Place
from kadeploy_deployer.broadcast.manifest import Manifest
from kadeploy_deployer.broadcast.source_request import PROTOCOL, Wanted, wanted_by_frames, wanted_by_http

FRAME = struct.Struct(">c3xIQ")
"""Kind, length of what follows, and how far the sender is, as in the nodes' program."""
DATA, HEARTBEAT, ANCESTORS, PASSED, FAILED, PROBE = b"D", b"H", b"A", b"S", b"X", b"P"

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
_LARGEST_FRAME = 128 << 10
_UNSENT_BYTES = 512 << 10
"""In the kernel, per connection: enough for the moments in which other threads keep this one waiting."""
_SEND_AT_ONCE = 2 << 20
_SILENT_SECONDS = 1.0
_PROBE_BYTES = 64 << 10
REQUEST_LIMIT = 8192
"""Bytes of a node that are read before they have to make sense."""
_TCP_NOTSENT_LOWAT = 25
_SIOCOUTQ = 0x5411


class Owner(Protocol):
    """Who decides whom to serve."""

    manifest: Manifest
    content: bytes
    descriptor: int
    token: bytes
    far: int

    def wants(self, connection: "SourceConnection", wanted: Wanted) -> None:
        """Hears that a node asks for the stream."""

    def ended(self, connection: "SourceConnection") -> None:
        """Hears that a connection ended."""

    def sent(self, name: str, count: int) -> None:
        """Hears that bytes were sent."""


class SourceConnection:
    """One connection, never blocking; used by the source's thread alone.

    Attributes:
        place: where the node listens; None before it said who it is.
        position: up to where the stream was sent.
        moved: as in Wanted.
        chain: as in Wanted.
        streaming: whether it is served.
    """

    def __init__(self, connection: socket.socket, epoll: select.epoll, owner: Owner) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        self.place: Place | None = None
        self.position = 0
        self.moved = False
        self.chain = 0
        self.streaming = False
        self._socket: socket.socket | None = connection
        self._number = connection.fileno()
        self._epoll = epoll
        self._owner = owner
        self._total = len(owner.content) + owner.manifest.size
        self._requests = b""
        self._said = b""
        self._header = b""
        self._left = 0
        self._framed = True
        self._ending = False
        self._taken = 0
        self._taken_at = 0.0
        self._events = READ
        epoll.register(self._number, READ)

    @property
    def number(self) -> int:
        """The file descriptor."""
        return self._number

    @property
    def acknowledged(self) -> int:
        """A position up to which the node surely has what was sent."""
        return max(0, self.position - self._queued())

    def is_silent(self, now: float) -> bool:
        """Returns whether the node has acknowledged nothing for too long of what is on its way to it."""
        taken = self.position - self._queued()
        if taken != self._taken or taken == self.position:
            self._taken, self._taken_at = taken, now
        return now - self._taken_at > _SILENT_SECONDS

    def stream(self, wanted: Wanted) -> None:
        """Begins to serve."""
        self.position, self.moved, self.chain, self.streaming = wanted.position, wanted.moved, wanted.chain, True
        if self._framed:
            self._said += FRAME.pack(ANCESTORS, 2, self._total) + b"[]"
        else:
            self._said += (
                f"HTTP/1.1 206 Partial Content\r\nContent-Type: application/octet-stream\r\n"
                f"Content-Length: {self._total - self.position}\r\n"
                f"Content-Range: bytes {self.position}-{self._total - 1}/{self._total}\r\nConnection: close\r\n\r\n"
            ).encode()
        self.pump()

    def send_on(self, place: Place) -> None:
        """Names the node that is served in this one's place."""
        content = json.dumps({"name": place.name, "address": place.address, "port": place.port}).encode()
        self._say(FRAME.pack(PASSED, len(content), self._total) + content)

    def refuse(self, sentence: str) -> None:
        """Says why nobody can give the stream."""
        content = sentence.encode()
        if self._framed:
            self._say(FRAME.pack(FAILED, len(content), 0) + content)
        else:
            head = f"HTTP/1.1 410 {sentence}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            self._say(head.encode(errors="replace"))

    def beat(self, head: int) -> None:
        """Says that the deployer lives, and how far the head of the chain is."""
        if self._framed and self.place is not None and not self._left and not self._said:
            self._said = FRAME.pack(HEARTBEAT, 0, head)
            self.pump()

    def handle(self, events: int) -> None:
        """Does what can be done now."""
        if events & ~WRITE:
            self._read()
        if events & WRITE:
            self.pump()

    def pump(self) -> None:
        """Sends what can be sent now."""
        if self._socket is None:
            return
        events = READ
        try:
            self._send(self._socket)
        except BlockingIOError:
            events = READ | WRITE
        except OSError:
            # The node left, and asks another; one that gets nothing says so itself.
            self.close()
            return
        if events != self._events:
            self._events = events
            self._epoll.modify(self._number, events)

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self.streaming = False
            self._epoll.unregister(self._number)
            self._socket.close()
            self._socket = None
            self._owner.ended(self)

    def _queued(self) -> int:
        if self._socket is None:
            return 0
        return int(struct.unpack("i", fcntl.ioctl(self._number, _SIOCOUTQ, struct.pack("i", 0)))[0])

    def _say(self, content: bytes) -> None:
        """Says the last that is said here."""
        self._said += content
        self.streaming, self._ending = False, True
        self.pump()

    def _send(self, connection: socket.socket) -> None:
        """Sends what there is. Raises BlockingIOError when the connection takes no more, or others have to wait."""
        enough = self.position + _SEND_AT_ONCE
        while True:
            if self.position > enough:
                raise BlockingIOError
            if self._header:
                self._header = self._header[connection.send(self._header, socket.MSG_MORE) :]
            elif self._left:
                self._send_bytes(connection)
            elif self._said:
                self._said = self._said[connection.send(self._said) :]
            elif self.streaming and self.position < self._total:
                self._left = self._frame_length()
                self._header = FRAME.pack(DATA, self._left, self._total) if self._framed else b""
            else:
                break
        if self._ending or (not self._framed and self.streaming):
            self._ending = self.streaming = False
            connection.shutdown(socket.SHUT_WR)

    def _frame_length(self) -> int:
        """Returns the length of the next frame: frames end where blocks may end, so that nodes take them whole."""
        start = len(self._owner.content)
        if self.position < start:
            return min(start - self.position, _LARGEST_FRAME)
        return min(self._total - self.position, _LARGEST_FRAME - (self.position - start) % _LARGEST_FRAME)

    def _send_bytes(self, connection: socket.socket) -> None:
        start = len(self._owner.content)
        if self.position < start:
            end = min(start, self.position + self._left)
            count = connection.send(self._owner.content[self.position : end])
        else:
            count = os.sendfile(self._number, self._owner.descriptor, self.position - start, self._left)
            if not count:
                # The file became shorter: the rest is never going to come.
                raise ConnectionAbortedError
        self.position += count
        self._left -= count
        self._owner.sent(self.place.name if self.place is not None else "", count)

    def _read(self) -> None:
        if self._socket is None:
            return
        try:
            chunk = self._socket.recv(REQUEST_LIMIT)
            if not chunk or len(self._requests) > REQUEST_LIMIT:
                self.close()
                return
            self._requests += chunk
            if self._requests.startswith(b"GET "):
                self._understand_http()
                return
            *lines, self._requests = self._requests.split(b"\n")
            for line in lines:
                self._understand(line)
        except BlockingIOError:
            return
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            # It left, or it is no node of this broadcast: it learns nothing here.
            self.close()

    def _understand(self, line: bytes) -> None:
        if self.place is None:
            protocol, token, text = (*line.split(b" ", 2), b"", b"")[:3]
            if protocol != PROTOCOL or not hmac.compare_digest(token, self._owner.token):
                raise ValueError("the request has no right")
            greeting = json.loads(text)
            self.place = Place(name=str(greeting["name"]), address=str(greeting["address"]), port=int(greeting["port"]))
            self._owner.wants(self, Wanted(position=-1))
            return
        message = json.loads(line)
        if "go" in message:
            self._owner.wants(self, wanted_by_frames(message["go"], self._total))
        elif "probe" in message and not self.streaming:
            self._said += FRAME.pack(PROBE, _PROBE_BYTES, self._owner.far) + bytes(_PROBE_BYTES)
            self.pump()
        elif "ping" in message:
            self._owner.wants(self, Wanted(position=-1))

    def _understand_http(self) -> None:
        head, end, _ = self._requests.partition(b"\r\n\r\n")
        if end:
            self._requests, self._framed = b"", False
            self._owner.wants(self, wanted_by_http(head, self._owner.token, self._total))
