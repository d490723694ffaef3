"""How many calls a service takes at once: of each caller, in all, and how many a second.

Streams are counted apart from other calls, so that watchers take nothing from those who ask; and so are health and
reflection, so that a probe is answered when users are many. Counting is all that is done here: it must cost next to
nothing, because it is done for every call before anything else.
"""

import time
from collections import Counter
from collections.abc import Callable
from enum import Enum

from kadeploy_edge.caller import Caller
from kadeploy_edge.errors import Exhausted
from kadeploy_edge.limits import Limits

BURST_SECONDS = 5.0
"""So many seconds' calls of a user may come at once."""

PROBES, PROBES_PER_CALLER = 256, 8
PROBE_STREAMS, PROBE_STREAMS_PER_CALLER = 64, 4
_MOST_KNOWN = 10_000


class TooManyCalls(Exhausted):
    """A caller, or all of them together, have as many calls under way as the service takes."""

    reason = "TOO_MANY_CALLS"


class CallKind(Enum):
    """What is counted apart."""

    CALL = "calls"
    STREAM = "streams"
    PROBE = "health checks"
    PROBE_STREAM = "health watches and reflections"


class Admission:
    """Counts the calls that are under way."""

    def __init__(
        self,
        limits: Limits,
        *,
        is_trusted: Callable[[Caller], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins with none.

        Args:
            limits: of the service.
            is_trusted: says who may have half of all calls: services and administrators.
            clock: seconds.
        """
        self._is_trusted = is_trusted
        self._clock = clock
        self._in_all = {
            CallKind.CALL: limits.calls,
            CallKind.STREAM: limits.streams,
            CallKind.PROBE: PROBES,
            CallKind.PROBE_STREAM: PROBE_STREAMS,
        }
        self._per_user = {
            CallKind.CALL: limits.calls_per_user,
            CallKind.STREAM: limits.streams_per_user,
            CallKind.PROBE: PROBES_PER_CALLER,
            CallKind.PROBE_STREAM: PROBE_STREAMS_PER_CALLER,
        }
        self._running: Counter[CallKind] = Counter()
        self._of_caller: Counter[tuple[CallKind, str]] = Counter()
        self._pause = 1 / limits.calls_per_second
        self._per_second = limits.calls_per_second
        # When each user's calls would be over if they had come one after the other, at the pace that is allowed.
        self._paid_until: dict[str, float] = {}

    def enter(self, kind: CallKind, caller: Caller) -> None:
        """Counts a call that begins; raises TooManyCalls, and counts nothing, when there are too many."""
        trusted = self._is_trusted(caller)
        if not trusted:
            self._keep_pace(caller)
        most = self._per_user[kind]
        if trusted and kind in (CallKind.CALL, CallKind.STREAM):
            most = max(most, self._in_all[kind] // 2)
        if self._of_caller[kind, caller.name] >= most:
            who = caller.name or "unnamed callers"
            raise _too_many(f"{who} may have {most} {kind.value} under way at once: wait for one of them to end", most)
        if self._running[kind] >= self._in_all[kind]:
            most = self._in_all[kind]
            raise _too_many(f"the service takes {most} {kind.value} at once and has as many: try again later", most)
        self._of_caller[kind, caller.name] += 1
        self._running[kind] += 1

    def leave(self, kind: CallKind, caller: Caller) -> None:
        """Counts a call that has ended; once for each that has entered."""
        self._running[kind] -= 1
        self._of_caller[kind, caller.name] -= 1
        if not self._of_caller[kind, caller.name]:
            del self._of_caller[kind, caller.name]

    def running(self, kind: CallKind) -> int:
        """Returns how many calls of a kind are under way."""
        return self._running[kind]

    def _keep_pace(self, caller: Caller) -> None:
        now = self._clock()
        paid_until = max(self._paid_until.get(caller.name, now), now) + self._pause
        if paid_until - now > BURST_SECONDS:
            who = caller.name or "unnamed callers"
            raise _too_many(f"{who} may make {self._per_second} calls a second: wait a moment", self._per_second)
        if len(self._paid_until) >= _MOST_KNOWN:
            self._paid_until = {name: until for name, until in self._paid_until.items() if until > now}
        self._paid_until[caller.name] = paid_until


def _too_many(message: str, most: int) -> TooManyCalls:
    return TooManyCalls(message, metadata={"limit": str(most)})
