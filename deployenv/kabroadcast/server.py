"""Gives the stream to the one node behind this one, and signs of life to those who watch.

One node stands behind another, so that each link carries the stream once. Whoever asks while that place is taken is
named the node in it, and asks that one: so it comes to the end of the chain. A node that passed the one in the place
gets the place, and so does any node when the one in the place was passed before; the other is sent behind it. A node
that was passed itself takes the place of nobody but its like.
"""

import json
import socket

from .document import Document
from .downstream import Downstream
from .failure import Failed
from .loop import READ, Loop
from .report import Tell
from .store import Store
from .wire import ANCESTORS, GONE, PASSED, Place, frame, listen, prepare

HEARTBEAT_SECONDS = 0.2
BEAT_SECONDS = 0.1  # between two looks at whether a heartbeat is due
CONNECTION_LIMIT = 64
SILENT_SECONDS = 1.0
SILENT = "it acknowledges nothing"


class Server:
    """The listener and the connections of those behind."""

    def __init__(self, document: Document, store: Store, loop: Loop, tell: Tell) -> None:
        self.token = document.token.encode()
        self._document = document
        self._store = store
        self._loop = loop
        self._tell = tell
        self._ancestors: list[Place] = []
        self._connections: set[Downstream] = set()
        self._behind: Downstream | None = None
        self._beaten = 0.0
        self._listener: socket.socket | None = None
        self.port = 0

    def listen(self) -> None:
        """Begins to listen. Raises Failed."""
        self._listener = listen(self._document.address, self._document.port, backlog=CONNECTION_LIMIT)
        self.port = self._listener.getsockname()[1]
        self._loop.watch(self._listener.fileno(), READ, self._accept)

    def behind(self) -> str:
        """Returns the name of the node behind this one; nothing when there is none."""
        down = self._behind
        return down.place.name if down is not None and down.place is not None else ""

    def pump(self, fresh: memoryview | None = None) -> None:
        """Passes on what came. `fresh`: the last of it, when it is still at hand."""
        if self._behind is not None:
            self._behind.pump(fresh)

    def retract(self, position: int) -> None:
        """Takes back what was passed on from a position on."""
        if self._behind is not None:
            self._behind.retract(position)

    def come_after(self, ancestors: list[Place]) -> None:
        """Tells the node behind who is before this one now."""
        self._ancestors = ancestors
        if self._behind is not None:
            self._behind.say(self._ancestor_frame())

    def beat(self, now: float) -> None:
        """Gives signs of life; gives the place behind this node free when the node in it gives none."""
        if now - self._beaten < BEAT_SECONDS:
            return
        self._beaten = now
        for down in tuple(self._connections):
            down.beat(now, HEARTBEAT_SECONDS)
        behind = self._behind
        if behind is not None and behind.place is not None and behind.is_silent(now, SILENT_SECONDS):
            self._tell({"event": "left", "name": behind.place.name, "why": SILENT})
            behind.close()

    def needed_from(self) -> int:
        """Returns the position from which on the node behind may still need what this one has."""
        return self._store.position if self._behind is None else self._behind.sent

    def charge(self, seconds: float, patience: float) -> None:
        """Notes that this node could receive nothing because of the node behind; drops it when it was too often."""
        if self._behind is not None:
            self._behind.cost += seconds
            if self._behind.cost > patience:
                down, self._behind = self._behind, None
                down.say(self._frame(GONE), last=True)

    def wants(self, down: Downstream, wanted: dict[str, object]) -> None:
        """As in the protocol of Downstream."""
        position, skipped = wanted["position"], wanted["skipped"]
        if not isinstance(position, int) or not isinstance(skipped, list) or down.place is None:
            raise ValueError("a request names a position and whom it skips")
        down.moved = bool(wanted["moved"])
        if not self._store.has(position):
            down.say(self._frame(GONE))
            return
        now_behind = self._behind
        if now_behind is not None and now_behind is not down and now_behind.place is not None:
            name = now_behind.place.name
            if name != down.place.name:
                may_displace = name in skipped and (now_behind.moved or not down.moved)
                if not may_displace and not (now_behind.moved and not down.moved):
                    down.say(self._passed(now_behind.place))
                    return
                now_behind.say(self._passed(down.place), last=True)
            else:
                now_behind.close()
        self._behind = down
        self._tell({"event": "serves", "name": down.place.name})
        down.stream(position, self._ancestor_frame())

    def ended(self, down: Downstream) -> None:
        """As in the protocol of Downstream."""
        self._connections.discard(down)
        if self._behind is down:
            self._behind = None

    def _accept(self, _events: int) -> None:
        if self._listener is None:
            return
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            raise Failed(f"cannot accept connections: {error.strerror}") from error
        if len(self._connections) >= CONNECTION_LIMIT:
            connection.close()
            return
        prepare(connection)
        self._connections.add(Downstream(connection, self._store, self, self._loop))

    def _ancestor_frame(self) -> bytes:
        return self._frame(ANCESTORS, json.dumps([place.document() for place in self._ancestors]).encode())

    def _passed(self, place: Place) -> bytes:
        return self._frame(PASSED, json.dumps(place.document()).encode())

    def _frame(self, kind: bytes, content: bytes = b"") -> bytes:
        return frame(kind, content, position=self._store.position)
