"""Pulls the blocks in order, proves each, and leaves an upstream that gives none for the next one."""

import socket
import time

import blake3

from .document import Document, Upstream
from .failure import Failed, Left
from .ring import Ring
from .wire import BLOCK, FAILED, FRAME, GONE, HELD, PROTOCOL, SLOW, WAIT, receive

NOTES_LIMIT = 50
NOTE_LIMIT = 300


class Receiver:
    """Pulls the blocks in order, from the nearest upstream that has them."""

    def __init__(self, document: Document, ring: Ring, upstreams: list[Upstream]) -> None:
        self.document = document
        self.ring = ring
        self.upstreams = upstreams
        self.current = ""
        self.notes: list[str] = []
        self.starved = 0.0
        self.bytes = 0

    def run(self) -> None:
        """Returns when every block came; raises Failed when nobody gives the next one."""
        usable = list(self.upstreams)
        index = 0
        last_block = time.monotonic()
        reasons: dict[str, str] = {}
        while not self._complete():
            if index >= len(usable):
                reason = "; ".join(f"{name}: {why}" for name, why in reasons.items())
                if time.monotonic() - last_block > self.document.give_up_bound:
                    raise Failed(f"nobody gives block {self.ring.head} of {len(self.document.hashes)}: {reason}")
                time.sleep(min(1.0, self.document.give_up_bound / 10))
                index = 0
            upstream = usable[index]
            before = self.ring.head
            try:
                self._draw_patiently(upstream)
            except Left as left:
                self._note(f"left {upstream.name} at block {self.ring.head}: {left}")
                if self.ring.head > before:
                    last_block = time.monotonic()
                    reasons.clear()
                reasons[upstream.name] = str(left)
                index += 1
                if left.to_source:
                    usable, index = [one for one in usable if one.source], 0
                elif left.barred and not upstream.source:
                    usable.remove(upstream)
                    index -= 1

    def _note(self, text: str) -> None:
        if len(self.notes) < NOTES_LIMIT:
            self.notes.append(text[:NOTE_LIMIT])

    def _complete(self) -> bool:
        return self.ring.head >= len(self.document.hashes)

    def _draw_patiently(self, upstream: Upstream) -> None:
        """Draws; asks once more when the connection was closed, for that is how a node that was too slow is told."""
        try:
            self._draw(upstream)
        except Left as left:
            if not left.closed:
                raise
            self._draw(upstream)

    def _draw(self, upstream: Upstream) -> None:
        self.current = upstream.name
        self.starved = 0.0
        document = self.document
        try:
            with socket.create_connection((upstream.address, upstream.port), document.connect_bound) as connection:
                connection.settimeout(document.stall_bound)
                first = str(self.ring.head).encode()
                connection.sendall(
                    b" ".join((PROTOCOL, document.token.encode(), first, document.name.encode())) + b"\n"
                )
                while not self._complete():
                    self._take(connection, upstream)
        except TimeoutError as error:
            raise Left("no answer in time") from error
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Left("it closed the connection", closed=True) from error
        except OSError as error:
            raise Left(error.strerror or str(error)) from error

    def _take(self, connection: socket.socket, upstream: Upstream) -> None:
        """Takes one frame."""
        starving = self.ring.idle()
        start = time.monotonic()
        deadline = start + 4 * self.document.stall_bound
        kind, flag, length = FRAME.unpack(receive(connection, FRAME.size, deadline))
        if starving and flag & HELD and not upstream.source:
            self.starved += time.monotonic() - start
            if self.starved > self.ring.patience(self.document.hold_bound):
                raise Left("it is much slower than this node", barred=True)
        if kind == BLOCK:
            self._accept(connection, upstream, length, deadline)
        elif kind == GONE:
            raise Left("it no longer has the block")
        elif kind == SLOW:
            self.ring.found_slow = True
            raise Left("all others waited for this node", to_source=True)
        elif kind == FAILED:
            sentence = receive(connection, min(length, 1000), deadline).decode(errors="replace")
            if upstream.source:
                raise Failed(f"{upstream.name} cannot give block {self.ring.head}: {sentence}")
            raise Left(sentence)
        elif kind != WAIT:
            raise Left("it does not speak the protocol", barred=True)

    def _accept(self, connection: socket.socket, upstream: Upstream, length: int, deadline: float) -> None:
        index = self.ring.head
        if length != self.document.length(index):
            raise Left(f"block {index} has {length} bytes instead of {self.document.length(index)}", barred=True)
        block = receive(connection, length, deadline)
        if blake3.blake3(block).digest() != self.document.hashes[index]:
            raise Left(f"block {index} is not the one that was registered", barred=True)
        upstream.blocks += 1
        self.bytes += length
        self.ring.add(block)
