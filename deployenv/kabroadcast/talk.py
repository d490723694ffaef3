"""The two languages in which the stream is asked for and given: frames between nodes, and HTTP from the deployer."""

import time
from typing import Protocol

from .wire import DATA, FRAME, KINDS, LARGEST_FRAME, LARGEST_MESSAGE, PROBE, PROTOCOL, Place, message

HTTP_HEADER_LIMIT = 8192


class Hearer(Protocol):
    """Who hears what the other end says."""

    def data(self, content: memoryview) -> bool:
        """Takes bytes of the stream; returns whether more is wanted."""

    def says(self, kind: bytes, content: bytes) -> bool:
        """Takes a frame that is not data; returns whether more is wanted."""

    def no_sense(self, why: str) -> None:
        """Hears that what came is not of the protocol."""


class FrameTalk:
    """Frames.

    Attributes:
        position: how far the other end said that it is.
        greeting: what is sent first.
        answers_first: whether the other end answers to that.
        probed: bytes a second of a probe; 0 before it came.
    """

    def __init__(self, token: str, own: Place) -> None:
        self.position = 0
        self.greeting = b" ".join((PROTOCOL, token.encode(), message(own.document())))
        self.answers_first = True
        self._pending = b""
        self._left = 0  # bytes of the current data frame that did not come yet
        self.probed = 0.0
        self._probing = self._probe_counted = 0  # bytes of a probe that did not come yet; those that are counted
        self._probe_begun = 0.0

    def go(self, wanted: dict[str, object]) -> bytes:
        """Returns what asks for the stream."""
        return message({"go": wanted})

    def ping(self) -> bytes:
        """Returns what asks for a sign of life."""
        return message({"ping": 1})

    def probe(self) -> bytes:
        """Returns what asks for bytes without meaning."""
        return message({"probe": 1})

    def parse(self, view: memoryview, hearer: Hearer) -> None:
        """Understands what came."""
        while view:
            if self._probing:
                view = self._probed(view)
            elif self._left:
                count = min(self._left, len(view))
                self._left -= count
                if not hearer.data(view[:count]):
                    return
                view = view[count:]
            else:
                wanted = FRAME.size
                if len(self._pending) >= FRAME.size:
                    wanted += FRAME.unpack_from(self._pending)[1]
                count = min(wanted - len(self._pending), len(view))
                self._pending += view[:count]
                view = view[count:]
                if len(self._pending) == wanted and not self._frame(wanted, hearer):
                    return

    def _probed(self, view: memoryview) -> memoryview:
        """Takes bytes of a probe; what came with its first bytes came as fast as nobody knows, and is not counted."""
        now = time.monotonic()
        count = min(self._probing, len(view))
        self._probing -= count
        if not self._probe_begun:
            self._probe_begun, self._probe_counted = now, self._probing
        if not self._probing:
            passed = now - self._probe_begun
            self.probed = self._probe_counted / passed if self._probe_counted else float("inf")
        return view[count:]

    def _frame(self, complete: int, hearer: Hearer) -> bool:
        """Takes a header, or with it the content of a frame that is not data."""
        kind, length, self.position = FRAME.unpack_from(self._pending)
        if kind not in KINDS or length > (LARGEST_FRAME if kind == DATA else LARGEST_MESSAGE):
            hearer.no_sense("it does not speak the protocol")
            return False
        if kind in {DATA, PROBE}:
            self._pending = b""
            if kind == DATA:
                self._left = length
            else:
                self._probing = length
            return True
        if complete != FRAME.size + length:
            return True
        content, self._pending = self._pending[FRAME.size :], b""
        return hearer.says(kind, content)


class HttpTalk:
    """One GET of HTTP/1.1 with a range, answered by the rest of the stream. Attributes as of FrameTalk."""

    def __init__(self, token: str, total: int) -> None:
        self.position = total
        self.probed = 0.0
        self.greeting = b""
        self.answers_first = False
        self._token = token
        self._header: bytes | None = b""

    def go(self, wanted: dict[str, object]) -> bytes:
        """Returns what asks for the stream."""
        lines = (
            "GET /stream HTTP/1.1",
            "Host: deployer",
            f"Authorization: Bearer {self._token}",
            f"Range: bytes={wanted['position']}-",
            f"X-Wrong: {wanted['wrong']}",
            "Connection: close",
        )
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()

    def ping(self) -> bytes:
        """Returns nothing: there is no way to ask."""
        return b""

    def probe(self) -> bytes:
        """Returns nothing: there is no way to ask."""
        return b""

    def parse(self, view: memoryview, hearer: Hearer) -> None:
        """Understands what came."""
        if self._header is not None:
            self._header += view
            header, end, rest = self._header.partition(b"\r\n\r\n")
            if not end:
                if len(header) > HTTP_HEADER_LIMIT:
                    hearer.no_sense("it does not speak HTTP")
                return
            self._header = None
            status = header.split(b"\r\n", 1)[0].split(b" ", 2)
            if status[1:2] != [b"206"]:
                hearer.no_sense(f"it answered {b' '.join(status[1:]).decode(errors='replace')[:200]}")
                return
            view = memoryview(rest)
        if view:
            hearer.data(view)
