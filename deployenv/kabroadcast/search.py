"""Decides from whom a node receives: the nearest that is there, answers, and keeps up.

The upstream gives the stream. The standby, which is the place before the upstream, only says how far it is: so the node
knows at once whom to ask when the upstream dies, and sees it when the upstream falls behind.
"""

import time
from typing import Protocol

from .candidates import LONG_REST, REST, Candidates
from .document import Document, Part
from .failure import Failed
from .pace import Pace
from .report import Tell
from .server import Server
from .upstream import Link
from .wire import Place

ANSWER_SECONDS = 0.15  # for somebody to take a connection; a farther place is asked meanwhile
OPEN_AT_ONCE = 2
STALL_SECONDS = 1.0  # without a byte, though the upstream says that it has more, or others are ahead
LOST_SECONDS = 3.0  # without a byte: the deployer is asked how far the head is
NOTES_LIMIT = 50
NOTE_LIMIT = 300


class Owner(Protocol):
    """Who receives."""

    def open(self, place: Place) -> Link:
        """Returns a new connection."""

    def position(self) -> int:
        """Returns how many bytes came."""

    def unit(self) -> str:
        """Returns what is being received."""

    def wrong(self) -> int:
        """Returns the number of the block that the deployer gave wrongly."""

    def changes(self) -> None:
        """Hears that the rest of the current unit comes from another."""


class Search:
    """The connections to those before this node.

    Attributes:
        upstream: who gives the stream; None while somebody is looked for.
        notes: who was left, where and why.
    """

    def __init__(self, document: Document, part: Part, server: Server, owner: Owner, tell: Tell) -> None:
        self.upstream: Link | None = None
        self.notes: list[str] = []
        self._document = document
        self._bounds = document.bounds
        self._part = part
        self._server = server
        self._owner = owner
        self._tell = tell
        self._links: dict[str, Link] = {}
        self._candidates = Candidates(part.upstreams, part.source)
        self._pace = Pace()
        self._sampled = 0.0
        self._passed = False
        self._woken = self._moved = time.monotonic()

    def begin(self) -> None:
        """Asks the first."""
        self._seek(time.monotonic())

    def moved(self, now: float) -> None:
        """Hears that bytes came."""
        self._moved = now

    def tick(self, now: float) -> None:
        """Looks after the connections. Raises Failed when nobody gave anything for too long."""
        late, self._woken = now - self._woken, now
        if late > self._bounds.ask / 2:
            # This node itself stood still: nobody was silent meanwhile.
            self._moved += late
            for link in self._links.values():
                link.heard += late
        if self.upstream is not None:
            self.upstream.poll()
        upstream = self.upstream
        if upstream is None:
            self._seek(now)
        elif upstream.paused:
            upstream.heard = self._moved = now
        elif now - upstream.heard > self._bounds.ask:
            upstream.ping(now)
            self._seek(now)
        else:
            self._keep_standby(now)
            self._judge(upstream, now)
        if now - self._moved > self._bounds.give_up:
            reasons = "; ".join(f"{name}: {why}" for name, why in self._candidates.reasons.items())
            raise Failed(f"nobody gives {self._owner.unit()} of {self._document.blocks}: {reasons or 'no answer'}")

    def alive(self, link: Link) -> None:
        """Hears a sign of life."""
        if self.upstream is None and link.place.name in self._links:
            self._seek(time.monotonic())

    def attached(self, link: Link, ancestors: list[Place]) -> None:
        """Hears who stands before the upstream."""
        self._candidates.attached(link.place, ancestors)

    def move(self, link: Link, place: Place) -> None:
        """Goes to the node that stands behind the upstream now."""
        if link is not self.upstream:
            return
        self._passed = self._passed or link.served
        self._candidates.sent_on(link.place, place)
        self._drop(link)
        self._seek(time.monotonic())

    def leave(self, link: Link, why: str, *, rest: float = REST, bar: bool = False) -> None:
        """Asks somebody no more, for now or for ever."""
        if self._links.get(link.place.name) is not link:
            return
        now = time.monotonic()
        was_upstream = link is self.upstream
        self._drop(link)
        self._candidates.leave(link.place, why, now, rest=rest)
        if bar:
            self._candidates.bar(link.place)
        if was_upstream:
            self._note(link, why)
            self._seek(now)

    def close(self) -> None:
        """Ends all connections."""
        for link in tuple(self._links.values()):
            self._drop(link)

    def _drop(self, link: Link) -> None:
        self._links.pop(link.place.name, None)
        if link is self.upstream:
            self.upstream = None
        link.close()

    def _note(self, link: Link, why: str, *, silent: bool = False) -> None:
        if len(self.notes) < NOTES_LIMIT:
            self.notes.append(f"left {link.place.name} at {self._owner.unit()}: {why}"[:NOTE_LIMIT])
        self._tell({"event": "left", "name": link.place.name, "why": why[:NOTE_LIMIT], "silent": silent})

    def _order(self) -> list[Place]:
        upstream = self.upstream.place.name if self.upstream is not None else ""
        return self._candidates.order(self._document.name, self._server.behind(), upstream)

    def _open(self, place: Place) -> Link | None:
        link = self._owner.open(place)
        self._links[place.name] = link
        link.connect()
        return self._links.get(place.name)

    def _seek(self, now: float) -> None:
        """Takes the nearest that lives in place of an upstream that is lost or silent; asks those who may."""
        waiting = 0
        for place in self._order():
            link = self._links.get(place.name)
            if link is None and waiting < OPEN_AT_ONCE and not self._candidates.rests(place, now):
                link = self._open(place)
            if link is None:
                continue
            if link.answered and now - link.heard <= self._bounds.ask:
                if not waiting and (self.upstream is None or now - self.upstream.heard > self._bounds.leave):
                    silence = f"silent for {now - self.upstream.heard:.1f} s" if self.upstream is not None else ""
                    self._take(link, silence, now, silent=True)
                if not waiting:
                    return
            elif now - link.begun <= ANSWER_SECONDS:
                waiting += 1
            elif now - link.heard > self._bounds.leave:
                self.leave(link, "no answer in time")

    def _take(self, link: Link, why: str, now: float, *, silent: bool = False) -> None:
        """Receives from another from now on. `why`: an upstream is left for it; `silent`: it said nothing."""
        old = self.upstream
        if old is not None:
            self._drop(old)
            self._candidates.leave(old.place, why, now, rest=LONG_REST)
            self._note(old, why, silent=silent)
        self.upstream = link
        self._pace.clear()
        self._moved = now
        self._owner.changes()
        link.go(
            {
                "position": self._owner.position(),
                "chain": self._part.chain,
                "skipped": self._candidates.skipped(now),
                "moved": self._passed,
                "wrong": self._owner.wrong(),
            }
        )

    def _keep_standby(self, now: float) -> None:
        """Watches the place before the upstream, and nobody else; the deployer too, when nothing comes."""
        order = [place for place in self._order() if not self._candidates.rests(place, now)]
        wanted = order[:1]
        if now - self._moved > LOST_SECONDS:
            wanted += order[-1:]
        names = {place.name for place in wanted}
        for link in tuple(self._links.values()):
            if link is not self.upstream and link.place.name not in names:
                self._drop(link)
        for place in wanted:
            watched = self._links.get(place.name)
            if watched is None:
                self._open(place)
            elif now - watched.heard > 2 * self._bounds.leave:
                self.leave(watched, "no answer in time")

    def _judge(self, upstream: Link, now: float) -> None:
        """Leaves an upstream that gives nothing, or less than the place before it has."""
        position = self._owner.position()
        stalled = now - self._moved > STALL_SECONDS
        if stalled and upstream.talk.position > position and not upstream.place.source:
            self.leave(upstream, "it says that it has more, and gives nothing", rest=LONG_REST)
            return
        for link in tuple(self._links.values()):
            if link is upstream or not link.answered:
                continue
            if stalled and link.talk.position > position:
                self._take(link, f"nothing came, and {link.place.name} has more", now)
                return
            if link.heard > self._sampled:
                self._sampled = link.heard
                self._pace.add(now, link.place.name, link.talk.position, position)
            if self._pace.is_slow():
                self._take(link, f"it is slower than {link.place.name}", now)
                return
