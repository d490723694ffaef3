"""How long work on one node may take. Time that the work waits for its turn at a shared limit does not count."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from kadeploy_deployer.ports import Clock, Timer


class TimeLimit:
    """Calls back when so many seconds of work are over.

    Args:
        clock: time.
        seconds: of work.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.expired = False
        self._clock = clock
        self._left = seconds
        self._since = 0.0
        self._waits = 0
        self._timer: Timer | None = None
        self._on_expiry: Callable[[], object] | None = None

    def start(self, on_expiry: Callable[[], object]) -> None:
        """Begins to count."""
        self._on_expiry = on_expiry
        self._count()

    def stop(self) -> None:
        """Counts no more, and never calls back again."""
        self._on_expiry = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @contextmanager
    def not_counted(self) -> Iterator[None]:
        """Stops counting inside."""
        self._waits += 1
        if self._waits == 1 and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._left -= self._clock.monotonic() - self._since
        try:
            yield
        finally:
            self._waits -= 1
            if not self._waits and self._on_expiry is not None and not self.expired:
                self._count()

    def _count(self) -> None:
        self._since = self._clock.monotonic()
        self._timer = self._clock.call_later(max(self._left, 0.0), self._expire)

    def _expire(self) -> None:
        if self._on_expiry is not None:
            self.expired = True
            self._on_expiry()


current_limit: ContextVar[TimeLimit | None] = ContextVar("time_limit", default=None)
"""The limit of the step that runs here."""


@contextmanager
def waiting_for_turn() -> Iterator[None]:
    """Keeps the time inside from counting against the limit of the step that waits, if there is one."""
    limit = current_limit.get()
    if limit is None:
        yield
        return
    with limit.not_counted():
        yield
