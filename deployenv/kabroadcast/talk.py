"""The two languages in which the stream is asked for and given: frames between nodes, and HTTP from the deployer."""

from typing import Protocol

from .wire import DATA, FRAME, HEARTBEAT, KINDS, LARGEST_FRAME, LARGEST_MESSAGE, POSITIONS, PROTOCOL, Place, message

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
        position, head: how far the other end, and the head of the chain as it knows it, said that they are.
        greeting: what is sent first.
        answers_first: whether the other end answers to that.
    """

    def __init__(self, token: str, own: Place) -> None:
        self.position = 0
        self.head = 0
        self.greeting = b" ".join((PROTOCOL, token.encode(), message(own.document())))
        self.answers_first = True
        self._pending = b""
        self._left = 0  # bytes of the current data frame that did not come yet

    def go(self, wanted: dict[str, object]) -> bytes:
        """Returns what asks for the stream."""
        return message({"go": wanted})

    def ping(self) -> bytes:
        """Returns what asks for a sign of life."""
        return message({"ping": 1})

    def parse(self, view: memoryview, hearer: Hearer) -> None:
        """Understands what came."""
        while view:
            if self._left:
                count = min(self._left, len(view))
                self._left -= count
                if not hearer.data(view[:count]):
                    return
                view = view[count:]
                continue
            wanted = FRAME.size
            if len(self._pending) >= FRAME.size:
                wanted += FRAME.unpack_from(self._pending)[1]
            count = min(wanted - len(self._pending), len(view))
            self._pending += view[:count]
            view = view[count:]
            if len(self._pending) == wanted and not self._frame(wanted, hearer):
                return

    def _frame(self, complete: int, hearer: Hearer) -> bool:
        """Takes a header, or with it the content of a frame that is not data."""
        kind, length = FRAME.unpack_from(self._pending)
        if kind not in KINDS or length > (LARGEST_FRAME if kind == DATA else LARGEST_MESSAGE):
            hearer.no_sense("it does not speak the protocol")
            return False
        if kind == DATA:
            self._left, self._pending = length, b""
            return True
        if complete != FRAME.size + length:
            return True
        content, self._pending = self._pending[FRAME.size :], b""
        if kind == HEARTBEAT and length == POSITIONS.size:
            self.position, self.head = POSITIONS.unpack(content)
        return hearer.says(kind, content)


class HttpTalk:
    """One GET of HTTP/1.1 with a range, answered by the rest of the stream. Attributes as of FrameTalk."""

    def __init__(self, token: str, total: int) -> None:
        self.position = self.head = total
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
