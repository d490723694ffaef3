"""Compares the pace of this node with that of the node before its upstream: evidence that the upstream is slow."""

from collections import deque

SPAN, LONG_SPAN = 0.6, 1.8  # seconds that the evidence must cover
KEPT = 2.5  # seconds of samples
SLOWER = 0.8  # of the pace of the other: slower than this is slow
BEHIND = 0.35  # seconds that this node must be behind at least: less may be jitter


class Pace:
    """Samples of two positions."""

    def __init__(self) -> None:
        self._whose = ""
        self._samples: deque[tuple[float, int, int]] = deque()
        self._first = self._last = (0.0, 0)  # when the other was first seen, and when it last came further

    def clear(self) -> None:
        """Forgets everything: the upstream is another now."""
        self._whose = ""
        self._samples.clear()

    def add(self, now: float, whose: str, theirs: int, ours: int) -> None:
        """Notes where both are. Of another than the last one nothing is known yet."""
        if whose != self._whose:
            self._whose = whose
            self._samples.clear()
            self._first = self._last = (now, theirs)
        if theirs > self._last[1]:
            self._last = (now, theirs)
        self._samples.append((now, theirs, ours))
        while now - self._samples[0][0] > KEPT:
            self._samples.popleft()

    def is_slow(self, span: float) -> bool:
        """Returns whether this node falls behind the other, and has done so for so many seconds."""
        if not self._samples:
            return False
        now, theirs, ours = self._samples[-1]
        since = next((each for each in reversed(self._samples) if now - each[0] >= span), None)
        if since is None:
            return False
        their_pace = self._their_pace(since)
        our_pace = (ours - since[2]) / (now - since[0])
        return our_pace < SLOWER * their_pace and theirs - ours > BEHIND * their_pace

    def ours(self) -> float:
        """Returns how many bytes a second this node got; 0 before that is known."""
        now, _, position = self._samples[-1] if self._samples else (0.0, 0, 0)
        since = next((each for each in reversed(self._samples) if now - each[0] >= SPAN), None)
        return (position - since[2]) / (now - since[0]) if since is not None else 0.0

    def jitter(self) -> float:
        """Returns how many bytes a node may be behind without being slow."""
        return BEHIND * self._their_pace(self._samples[0]) if len(self._samples) > 1 else 0.0

    def _their_pace(self, since: tuple[float, int, int]) -> float:
        now, theirs, _ = self._samples[-1]
        if theirs == since[1] and self._last[0] > self._first[0]:
            # It goes no further, because it has everything: what counts is how fast it came there.
            return (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])
        return (theirs - since[1]) / (now - since[0])
