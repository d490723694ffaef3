"""What is known of each connection, and which of them have to end so that others have room. Decides, and ends none.

Whichever has the fewest reasons to stand goes first: no call under way, never a call at all, the longest time without
one. So silent connections make room for those who call, and old silent ones for new ones, which may be about to.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kadeploy_edge.own_sockets import OpenConnection, Peer

MOST_REFUSALS = 100
REFUSALS_SECONDS = 10.0
"""More refused calls than that within so many seconds end a connection."""
GRACE_SECONDS = 0.2
"""What a refused caller is told has this long to reach them before their connection ends."""
QUIET_SECONDS = 1.0
"""Whoever is not heard at all loses the connection so long after the last time that they were told so."""
_FORGET_SECONDS = 60.0


@dataclass(slots=True)
class _Connection:
    # Without a call: when it was seen first.
    last_call: float
    has_called: bool = False
    running: int = 0
    refusals: int = 0
    refused_since: float = 0.0
    ends_at: float | None = None


class ConnectionTable:
    """The connections of one service by their peers."""

    def __init__(self, *, most: int, most_per_address: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins with none.

        Args:
            most: connections, in all; if they are more, those end that stand idle.
            most_per_address: connections of one address.
            clock: seconds.
        """
        self._most = most
        self._most_per_address = most_per_address
        self._clock = clock
        self._known: dict[Peer, _Connection] = {}

    def began(self, peer: Peer) -> None:
        """Notes a call that begins."""
        connection = self._of(peer)
        connection.running += 1
        connection.has_called = True
        connection.last_call = self._clock()

    def ended(self, peer: Peer) -> None:
        """Notes a call that has ended; once for each that began."""
        connection = self._of(peer)
        # Another one may have come from the same port meanwhile.
        connection.running = max(0, connection.running - 1)
        connection.last_call = self._clock()

    def refused(self, peer: Peer) -> int:
        """Notes a call that was refused for its number, and returns how many were; too many end the connection."""
        count = self._counted_refusals(peer)
        if count > MOST_REFUSALS:
            self.end(peer)
        return count

    def not_heard(self, peer: Peer) -> int:
        """Notes a call of somebody who is not heard, whatever they ask: the connection ends when they are quiet.

        Returns how many calls were refused.
        """
        count = self.refused(peer)
        if count <= MOST_REFUSALS:
            self._of(peer).ends_at = self._clock() + QUIET_SECONDS
        return count

    def end(self, peer: Peer) -> None:
        """Has the connection ended, a moment from now."""
        connection, ends_at = self._of(peer), self._clock() + GRACE_SECONDS
        connection.ends_at = ends_at if connection.ends_at is None else min(connection.ends_at, ends_at)

    def _counted_refusals(self, peer: Peer) -> int:
        connection, now = self._of(peer), self._clock()
        if now - connection.refused_since > REFUSALS_SECONDS:
            connection.refusals, connection.refused_since = 0, now
        connection.refusals += 1
        return connection.refusals

    def superfluous(self, connections: Sequence[OpenConnection]) -> list[OpenConnection]:
        """Returns those that have to end now, of all that are open."""
        now = self._clock()
        self._forget_closed({one.peer for one in connections}, now)
        ending = [one for one in connections if self._is_to_end(one.peer, now)]
        left = sorted(set_difference(connections, ending), key=self._claim)
        # Most idle first, as many from each address as it has too many.
        count = Counter(one.peer.site for one in left)
        for one in left:
            if count[one.peer.site] > self._most_per_address:
                count[one.peer.site] -= 1
                ending.append(one)
        ending += self._idle_beyond_room(set_difference(left, ending))
        for one in ending:
            del self._known[one.peer]
        return ending

    def _idle_beyond_room(self, left: Sequence[OpenConnection]) -> list[OpenConnection]:
        """Returns idle connections beyond the number that is taken, of whoever has most of them."""
        excess = len(left) - self._most
        if excess <= 0:
            return []
        count = Counter(one.peer.site for one in left)
        idle = [one for one in left if not self._of(one.peer).running]
        # Stable: within an address the longest idle first.
        idle.sort(key=lambda one: -count[one.peer.site])
        return idle[:excess]

    def _claim(self, one: OpenConnection) -> tuple[bool, bool, float, int]:
        """Returns what the longest claim to stand is the largest of."""
        connection = self._of(one.peer)
        # Of several that were seen first at the same look, the later has the larger inode.
        return connection.running > 0, connection.has_called, connection.last_call, one.inode

    def _is_to_end(self, peer: Peer, now: float) -> bool:
        ends_at = self._of(peer).ends_at
        return ends_at is not None and now >= ends_at

    def _of(self, peer: Peer) -> _Connection:
        found = self._known.get(peer)
        if found is None:
            found = self._known[peer] = _Connection(last_call=self._clock())
        return found

    def _forget_closed(self, peers: set[Peer], now: float) -> None:
        # A connection may have made its first call after the others were looked for: it is not closed, it is new.
        self._known = {
            peer: connection
            for peer, connection in self._known.items()
            if peer in peers or connection.running or now - connection.last_call < _FORGET_SECONDS
        }


def set_difference(connections: Iterable[OpenConnection], without: Iterable[OpenConnection]) -> list[OpenConnection]:
    """Returns the connections, in their order, that are not among the others."""
    left_out = set(without)
    return [one for one in connections if one not in left_out]
