"""Whom a node can ask, in which order, and whom it does not ask for now."""

from .wire import Place

REMEMBERED = 5.0  # seconds for which a node that was left is named to those who are asked next
REST = 0.3  # seconds until somebody who did not answer is asked again
LONG_REST = 5.0
ANCESTORS = 4


class Candidates:
    """The places before this node, the nearest first, and the deployer at last.

    Attributes:
        reasons: why each that was left was left, for the sentence at the end.
    """

    def __init__(self, ancestors: list[Place], source: Place) -> None:
        self.reasons: dict[str, str] = {}
        self._ancestors = ancestors
        self._source = source
        self._next: Place | None = None
        self._barred: set[str] = set()
        self._left: dict[str, float] = {}
        self._resting: dict[str, float] = {}

    def order(self, *excluded: str) -> list[Place]:
        """Returns whom to ask, the best first."""
        first = [] if self._next is None else [self._next]
        order: dict[str, Place] = {}
        for place in (*first, *self._ancestors):
            if place.name not in self._barred and place.name not in excluded:
                order.setdefault(place.name, place)
        if self._source.name not in excluded:
            order[self._source.name] = self._source
        return list(order.values())

    def rests(self, place: Place, now: float) -> bool:
        """Returns whether somebody is not asked for now."""
        return self._resting.get(place.name, 0) > now

    def skipped(self, now: float) -> list[str]:
        """Returns who was left lately: whoever is asked next need not wait for them."""
        return [name for name, time in self._left.items() if now - time < REMEMBERED]

    def attached(self, place: Place, ancestors: list[Place]) -> None:
        """Notes who is before this node now."""
        self._next = None
        if place.source:
            self._ancestors = []
            return
        # An upstream that has none yet knows nobody; what was known before is better than nothing.
        known: dict[str, Place] = {}
        for each in (place, *ancestors, *self._ancestors):
            known.setdefault(each.name, each)
        self._ancestors = list(known.values())[:ANCESTORS]

    def sent_on(self, by: Place, to: Place) -> None:
        """Notes that somebody named another who is to be asked."""
        self._next = to
        if not by.source:
            self._ancestors = [by, *(each for each in self._ancestors if each.name != by.name)][:ANCESTORS]

    def leave(self, place: Place, why: str, now: float, *, rest: float = REST) -> None:
        """Notes that somebody gave nothing, and why."""
        self.reasons[place.name] = why
        self._left[place.name] = now
        self._resting[place.name] = now + rest
        if self._next is not None and self._next.name == place.name:
            self._next = None

    def bar(self, place: Place) -> None:
        """Never asks somebody again, unless it is the deployer."""
        self._barred.add(place.name)
