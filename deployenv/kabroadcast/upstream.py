"""A connection to somebody before this node: a node, or the deployer. It watches, and once it is asked to, receives."""

import fcntl
import os
import socket
import struct
import time
from typing import Protocol

from .loop import READ, WRITE, Loop
from .talk import FrameTalk, HttpTalk
from .wire import SO_RCVLOWAT, Place, prepare

BUFFER = bytearray(256 << 10)  # of all connections: what came of one is understood before another is read
VIEW = memoryview(BUFFER)
READS_AT_ONCE = 4
FIONREAD = 0x541B  # ioctl


class Owner(Protocol):
    """Who is called when something comes."""

    def room(self) -> int:
        """Returns how many bytes may be received."""

    def accept(self, link: "Link", content: memoryview) -> None:
        """Takes bytes of the stream."""

    def taken(self) -> None:
        """Hears that all was taken that came at once."""

    def answer(self, link: "Link", kind: bytes, content: bytes) -> None:
        """Takes a frame that is not data."""

    def lost(self, link: "Link", why: str) -> None:
        """Hears that the connection ended, or that what came is not of the protocol."""


class Link:
    """One connection.

    Attributes:
        place: the other end.
        heard: when something came last; when it was begun, before that.
        answered: whether the other end gave a sign of life.
        served: whether it gave bytes of the stream.
        paused: whether it is not read, because there is no room.
    """

    def __init__(self, place: Place, talk: FrameTalk | HttpTalk, owner: Owner, loop: Loop) -> None:
        self.place = place
        self.talk = talk
        self.heard = self.begun = time.monotonic()
        self.answered = False
        self.served = False
        self.paused = False
        self._owner = owner
        self._loop = loop
        self._unsent = talk.greeting
        self._open = False
        self._streaming = False
        self._asked = 0.0
        self._low = 1
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        """Begins to connect."""
        address = self.place.address
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        prepare(connection)
        self._socket = connection
        self._loop.watch(connection.fileno(), WRITE, self._on_events)
        try:
            connection.connect((address, self.place.port))
        except BlockingIOError:
            # The loop says when it stands.
            return
        except OSError as error:
            self._lose(error.strerror or str(error))

    def go(self, wanted: dict[str, object]) -> None:
        """Asks for the stream."""
        self._streaming = True
        self._send(self.talk.go(wanted))

    def ping(self, now: float) -> None:
        """Asks for a sign of life, once in a while."""
        if now - self._asked > 1:
            self._asked = now
            self._send(self.talk.ping())

    def probe(self) -> None:
        """Asks for bytes without meaning; how fast they come is in the talk's `probed`."""
        self._send(self.talk.probe())

    def gather(self, count: int) -> None:
        """Sets how many bytes have to come before they are worth a look."""
        if count != self._low and self._socket is not None:
            self._low = count
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVLOWAT, count)

    def unread(self) -> int:
        """Returns how many bytes came that were not read yet."""
        if self._socket is None:
            return 0
        return int(struct.unpack("i", fcntl.ioctl(self._socket.fileno(), FIONREAD, struct.pack("i", 0)))[0])

    def poll(self) -> None:
        """Reads what is there, however little, and also after a pause."""
        if not self._open or self._socket is None:
            return
        if self.paused:
            if not self._owner.room():
                return
            self.paused = False
            self._loop.change(self._socket.fileno(), READ)
        self._read()

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def data(self, content: memoryview) -> bool:
        """As in the protocol of the talk."""
        self.served = True
        self._owner.accept(self, content)
        return self._socket is not None

    def says(self, kind: bytes, content: bytes) -> bool:
        """As in the protocol of the talk."""
        self._owner.answer(self, kind, content)
        return self._socket is not None

    def no_sense(self, why: str) -> None:
        """As in the protocol of the talk."""
        self._lose(why)

    def _on_events(self, events: int) -> None:
        if self._socket is None:
            return
        if not self._open:
            self._opened(self._socket)
            return
        if events & WRITE:
            self._send(b"")
        if events & ~WRITE and self._socket is not None:
            self._read()

    def _opened(self, connection: socket.socket) -> None:
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._lose(os.strerror(error))
            return
        self._open = True
        self._loop.change(connection.fileno(), READ)
        self._send(b"")
        if not self.talk.answers_first and self._socket is not None:
            self.heard = time.monotonic()
            self.answered = True
            self._owner.answer(self, b"", b"")

    def _send(self, content: bytes) -> None:
        self._unsent += content
        if not self._open or self._socket is None or not self._unsent:
            return
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            # A few bytes to somebody who does not take them: it is left for its silence.
            return
        except OSError as error:
            self._lose(error.strerror or str(error))

    def _read(self) -> None:
        """Reads what came, but for no longer than the others can wait."""
        for _ in range(READS_AT_ONCE):
            if self._socket is None:
                return
            room = len(BUFFER)
            if self._streaming:
                room = min(room, self._owner.room())
                if not room:
                    self.paused = True
                    self._loop.change(self._socket.fileno(), 0)
                    return
            try:
                count = self._socket.recv_into(BUFFER, room)
            except BlockingIOError:
                return
            except OSError as error:
                self._lose(error.strerror or str(error))
                return
            if not count:
                self._lose("it closed the connection")
                return
            self.heard = time.monotonic()
            self.answered = True
            self.talk.parse(VIEW[:count], self)
            self._owner.taken()
            if count < room:
                return

    def _lose(self, why: str) -> None:
        self.close()
        self._owner.lost(self, why)
