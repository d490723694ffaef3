"""Decides from whom a node receives: the nearest that is there, answers, and keeps up.

The upstream gives the stream. The standby, which is the place before the upstream, only says how far it is: so the node
knows at once whom to ask when the upstream dies, and sees it when the upstream falls behind.
"""

import time
from typing import Protocol

from .candidates import LONG_REST, REST, Candidates
from .document import Document, Part
from .failure import Failed
from .pace import LONG_SPAN, SPAN, Pace
from .report import Tell
from .server import Server
from .upstream import Link
from .wire import LARGEST_FRAME, Place

ANSWER_SECONDS = 0.15  # for somebody to take a connection; a farther place is asked meanwhile
OPEN_AT_ONCE = 2
JUDGE_SECONDS = 0.1  # between two looks at an upstream that gives something
STALL_SECONDS = 1.0  # without a byte, though the upstream says that it has more, or others are ahead
WORTH_SECONDS = 1.0  # of the stream must be left for a change to be worth it
FASTER = 2.0  # than the stream: worth passing the upstream
CUT_OFF_SECONDS = 1.0  # without a sign of life from anybody
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
        self._sampled = self._judged = 0.0
        self._passed = False  # by others, for being slow or away
        self._tried = self._probed = False
        self._far, self._far_since = 0, 0.0  # where the upstream is, and since when
        self._woken = self._moved = self._contact = time.monotonic()

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
            self._contact += late
            for link in self._links.values():
                link.heard += late
        if self.upstream is not None:
            self.upstream.poll()
        upstream = self.upstream
        self._contact = max([self._contact, *(link.heard for link in self._links.values() if link.answered)])
        if now - self._contact > CUT_OFF_SECONDS:
            # Not one answers: this node was away, and the others have gone on without it.
            self._passed = True
        if upstream is None:
            self._seek(now)
        elif upstream.paused:
            upstream.heard = self._moved = now
        elif now - upstream.heard > self._bounds.ask:
            upstream.ping(now)
            self._seek(now)
        elif now - self._judged >= JUDGE_SECONDS:
            self._judged = now
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

    def _note(self, link: Link, why: str) -> None:
        if len(self.notes) < NOTES_LIMIT:
            self.notes.append(f"left {link.place.name} at {self._owner.unit()}: {why}"[:NOTE_LIMIT])
        self._tell({"event": "left", "name": link.place.name, "why": why[:NOTE_LIMIT]})

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
                if not waiting:
                    self._replace(link, now)
                    return
            elif now - link.begun <= ANSWER_SECONDS:
                waiting += 1
            elif now - link.heard > self._bounds.leave:
                self.leave(link, "no answer in time")

    def _replace(self, link: Link, now: float) -> None:
        """Takes somebody in place of an upstream that is lost, or has been silent for long enough.

        That is sooner when somebody else has bytes that the upstream ought to give.
        """
        if self.upstream is None:
            self._take(link, "", now)
            return
        silence = now - self.upstream.heard
        ahead = link.talk.position > self._owner.position()
        bound = (self._bounds.ask + self._bounds.leave) / 2 if ahead else self._bounds.leave
        if silence > bound:
            self._take(link, f"silent for {silence:.1f} s", now)

    def _take(self, link: Link, why: str, now: float) -> None:
        """Receives from another from now on. `why`: an upstream is left for it, if there is one."""
        old = self.upstream
        if old is not None:
            self._drop(old)
            self._candidates.leave(old.place, why, now, rest=LONG_REST)
            self._note(old, why)
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
        if upstream.talk.position != self._far:
            self._far, self._far_since = upstream.talk.position, now
        stalled = now - self._moved > STALL_SECONDS
        if stalled and upstream.talk.position > position and not upstream.place.source:
            self.leave(upstream, "it says that it has more, and gives nothing", rest=LONG_REST)
            return
        for link in tuple(self._links.values()):
            if link is upstream or not link.answered:
                continue
            # An upstream that comes nearer is waited for: it is behind this node, which was passed.
            if stalled and now - self._far_since > STALL_SECONDS and link.talk.position > position:
                self._take(link, f"nothing came, and {link.place.name} has more", now)
                return
            if link.heard > self._sampled:
                self._sampled = link.heard
                self._pace.add(now, link.place.name, link.talk.position, position)
            if self._is_slow(upstream, position):
                self._take(link, f"it is slower than {link.place.name}", now)
                return
            if self._could_be_faster(upstream, link):
                self._take(link, f"it is slower than {link.place.name} could be", now)
                return

    def _could_be_faster(self, upstream: Link, standby: Link) -> bool:
        """Returns whether a standby, whose own progress says nothing of its link, has a much faster one.

        That is so of the deployer, which gives the first node as much as that one takes, and of a node that has
        everything. They are asked once for a few bytes without meaning. While their link is busy, these come at half
        the pace of the stream at most.
        """
        pace = self._pace.ours()
        left = self._document.total - self._owner.position()
        if self._passed or not pace or left < WORTH_SECONDS * pace:
            return False
        if not standby.place.source and standby.talk.position < self._document.total:
            return False
        if not self._probed:
            self._probed = True
            standby.probe()
            return False
        faster = standby.talk.probed > FASTER * pace
        standby.talk.probed = 0.0
        return faster and upstream.unread() <= LARGEST_FRAME

    def _is_slow(self, upstream: Link, position: int) -> bool:
        """Returns whether it is the upstream that is slow.

        When bytes wait to be read, this node is slow. An upstream that has no more than this node is slow itself. One
        that has more may have a slow link, or this node has: others pass this node then; only if nobody does, it tries
        another, once.
        """
        if not self._pace.is_slow(SPAN) or upstream.unread() > LARGEST_FRAME:
            return False
        if upstream.talk.position - position < self._pace.jitter() / 2:
            return True
        if self._tried or self._passed or not self._pace.is_slow(LONG_SPAN):
            return False
        self._tried = True
        return True
