"""Receives the stream from the nearest place before this node that gives it, and proves it.

Whom to receive from is decided in `search.py`. What comes is passed on before its unit is complete, except for the
unit's last bytes: so whoever gives a complete unit has proved it, and a wrong one is the fault of whoever gave it.
"""

import json

from .candidates import ANCESTORS as ANCESTORS_KEPT
from .candidates import LONG_REST
from .document import Document, Part
from .failure import Failed
from .loop import Loop
from .proof import Proof
from .report import Tell
from .search import STALL_SECONDS, Search
from .server import Server
from .store import Store
from .talk import FrameTalk, HttpTalk
from .upstream import Link
from .wire import ANCESTORS, FAILED, GONE, PASSED, POSITION, RETRACTED, Place, read_place

WORST_SOURCE = 3  # wrong units in a row from the deployer


class Receiver:
    """The receiving side of a node.

    Attributes:
        given: bytes of the stream by the name of who gave them.
    """

    def __init__(self, document: Document, store: Store, loop: Loop, server: Server, tell: Tell) -> None:
        self.proof = Proof(document)
        self.given: dict[str, int] = {}
        self._document = document
        self._store = store
        self._loop = loop
        self._server = server
        self._tell = tell
        self._search: Search | None = None
        self._quantum = 1
        self._fresh: memoryview | None = None
        self._fresh_from = -1
        self._mixed = False  # the current unit came from more than one place
        self._wrong = 0  # units in a row that the deployer gave and that were wrong

    def begin(self, part: Part) -> None:
        """Begins to receive."""
        self._quantum = part.quantum
        self._search = Search(self._document, part, self._server, self, self._tell)
        self._search.begin()

    def complete(self) -> bool:
        """Returns whether everything came and was proved."""
        return self._store.proved == self._store.total

    def upstream(self) -> str:
        """Returns the name of who gives the stream."""
        upstream = self._search.upstream if self._search is not None else None
        return upstream.place.name if upstream is not None else ""

    def notes(self) -> list[str]:
        """Returns whom this node left, where and why."""
        return self._search.notes if self._search is not None else []

    def tick(self, now: float) -> None:
        """Looks after the connections, many times a second. Raises Failed when nobody gives the stream."""
        if self._search is None:
            return
        if self.complete():
            self._search.close()
        else:
            self._search.tick(now)

    def open(self, place: Place) -> Link:
        """Returns a new connection to a place, not connected yet."""
        document = self._document
        talk = (
            HttpTalk(document.token, document.total)
            if document.method == "http"
            else FrameTalk(document.token, Place(document.name, document.address, self._server.port))
        )
        return Link(place, talk, self, self._loop)

    def position(self) -> int:
        """Returns how many bytes came."""
        return self._store.position

    def unit(self) -> str:
        """Returns what is being received, for a sentence."""
        return self.proof.name()

    def wrong(self) -> int:
        """Returns the number of the block that the deployer gave wrongly: -1 the manifest, -2 none."""
        return self.proof.block() if self._wrong else -2

    def changes(self) -> None:
        """Hears that the rest of the current unit comes from another."""
        self._mixed = self._store.position != self._store.proved

    def room(self) -> int:
        """As in the protocol of Link."""
        return self._store.room()

    def accept(self, link: Link, content: memoryview) -> None:
        """As in the protocol of Link."""
        search, store, proof = self._search, self._store, self.proof
        if search is None:
            return
        name = link.place.name
        # What comes in one piece is passed on from where it lies; of several pieces the kernel makes one.
        self._fresh = content if self._fresh_from < 0 else None
        self._fresh_from = store.position
        while content and link is search.upstream:
            piece = content[: proof.end - store.position]
            content = content[len(piece) :]
            proof.update(piece)
            store.add(piece)
            self.given[name] = self.given.get(name, 0) + len(piece)
            if store.position == proof.end:
                self._prove(link, search)
        search.moved(link.heard)
        if link is search.upstream:
            # The last bytes are too few to be gathered.
            link.gather(self._quantum if store.total - store.position > self._quantum else 1)

    def taken(self) -> None:
        """As in the protocol of Link."""
        if self._fresh_from < 0:
            return
        fresh, start = self._fresh, self._fresh_from
        self._fresh, self._fresh_from = None, -1
        if fresh is not None and self._store.position != start + len(fresh):
            fresh = None
        self._server.pump(fresh)

    def answer(self, link: Link, kind: bytes, content: bytes) -> None:
        """As in the protocol of Link."""
        search = self._search
        if search is None:
            return
        try:
            if kind == PASSED:
                search.move(link, read_place(json.loads(content)))
            elif kind == GONE:
                search.leave(link, "it no longer has what is wanted", rest=LONG_REST)
            elif kind == FAILED and link.place.source:
                raise Failed(f"the deployer cannot give the file: {content.decode(errors='replace')[:1000]}")
            elif kind == ANCESTORS and link is search.upstream:
                self._learn(link, search, [read_place(place) for place in json.loads(content)])
            elif kind == RETRACTED and link is search.upstream:
                self._retract(link, search, *POSITION.unpack(content))
            else:
                search.alive(link)
        except (ValueError, TypeError, RecursionError):
            search.leave(link, "it does not speak the protocol", rest=LONG_REST)

    def lost(self, link: Link, why: str) -> None:
        """As in the protocol of Link."""
        if self._search is not None:
            self._search.leave(link, why)

    def _prove(self, link: Link, search: Search) -> None:
        """Proves the unit that is complete, or takes it back."""
        store, proof = self._store, self.proof
        name = proof.name()
        if proof.conclude(store.read(0, store.start) if proof.block() < 0 else b""):
            store.proved = store.position
            self._mixed, self._wrong = False, 0
            return
        store.position = store.proved
        self._server.retract(store.position)
        if self._mixed:
            # Who gave the wrong bytes shows when one place gives them all.
            self._mixed = False
            search.leave(link, f"{name} came from two places and is wrong", rest=0.0)
            return
        if link.place.source:
            self._wrong += 1
            if self._wrong >= WORST_SOURCE:
                raise Failed(f"the deployer gave {name} wrongly {self._wrong} times")
        search.leave(link, f"{name} is not the one that was registered", rest=0.0, bar=not link.place.source)

    def _learn(self, link: Link, search: Search, ancestors: list[Place]) -> None:
        if any(place.name == self._document.name for place in ancestors):
            search.leave(link, "it stands behind this node", rest=STALL_SECONDS)
            return
        search.attached(link, ancestors)
        before = [] if link.place.source else [link.place]
        self._server.come_after([*before, *ancestors][:ANCESTORS_KEPT])

    def _retract(self, link: Link, search: Search, position: int) -> None:
        if position != self._store.proved:
            search.leave(link, "it takes back what was proved", rest=LONG_REST)
            return
        self.proof.restart()
        self._mixed = False
        self._store.position = position
        self._server.retract(position)
