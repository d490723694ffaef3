"""A clock that stands still until somebody sleeps on it, and then jumps: no test waits."""

import asyncio
import heapq
import itertools
from collections.abc import Callable

SETTLE_ROUNDS = 30
"""Rounds of the event loop in which all that can go on without waiting does so, before time moves."""
IDLE_SECONDS = 0.05
"""Of the real time: how long nothing may happen before the clock jumps to a mere bound on somebody's work."""


class _Entry:
    """A sleeper or a timer. `is_bound`: a timer, which most often never goes off."""

    __slots__ = ("callback", "is_bound", "over")

    def __init__(self, callback: Callable[[], None], *, is_bound: bool) -> None:
        self.callback = callback
        self.is_bound = is_bound
        self.over = False

    def cancel(self) -> None:
        """Takes it back."""
        self.over = True

    def go_off(self) -> None:
        """Calls, unless it was taken back."""
        if not self.over:
            self.over = True
            self.callback()


class ManualClock:
    """Time as a number.

    With `automatic`, time jumps to the next sleeper's hour whenever nothing else can go on, so concurrent sleepers
    wake in the order of their hours. Without it, `advance` moves the time. While `busy` says true, time stands still:
    for work in threads, which the event loop does not see.
    """

    def __init__(self, start: float = 1_700_000_000.0, *, automatic: bool = True) -> None:
        self.time = start
        self.slept: list[float] = []
        self.busy: Callable[[], bool] = lambda: False
        self._automatic = automatic
        self._entries: list[tuple[float, int, _Entry]] = []
        self._order = itertools.count()
        self._pump: asyncio.Task[None] | None = None

    def now(self) -> float:
        """Returns the time."""
        return self.time

    def monotonic(self) -> float:
        """Returns the time."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Waits until the time is that much later."""
        self.slept.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        entry = self._add(seconds, wake, is_bound=False)
        try:
            await future
        finally:
            entry.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> _Entry:
        """Calls back when the time is that much later."""
        return self._add(seconds, callback, is_bound=True)

    async def synchronise(self) -> float:
        """As in the port."""
        return 0.0

    def advance(self, seconds: float) -> None:
        """Moves the time on and wakes all whose hour has come."""
        self._wake_until(self.time + seconds)

    def _add(self, seconds: float, callback: Callable[[], None], *, is_bound: bool) -> _Entry:
        entry = _Entry(callback, is_bound=is_bound)
        heapq.heappush(self._entries, (self.time + seconds, next(self._order), entry))
        if self._automatic and (self._pump is None or self._pump.done()):
            self._pump = asyncio.create_task(self._run())
        return entry

    def _wake_until(self, time: float) -> None:
        while self._entries and self._entries[0][0] <= time:
            hour, _, entry = heapq.heappop(self._entries)
            if not entry.over:
                self.time = max(self.time, hour)
                entry.go_off()
        self.time = max(self.time, time)

    async def _settle(self) -> None:
        """Lets everything go on that can without time, what was waiting for a thread too."""
        while True:
            for _ in range(SETTLE_ROUNDS):
                await asyncio.sleep(0)
            if not self.busy():
                return
            while self.busy():  # noqa: ASYNC110 - threads set no event
                await asyncio.sleep(IDLE_SECONDS / 100)

    def _drop_over(self) -> None:
        while self._entries and self._entries[0][2].over:
            heapq.heappop(self._entries)

    async def _run(self) -> None:
        self._drop_over()
        while self._entries:
            await self._settle()
            self._drop_over()
            if not self._entries:
                return
            hour, number, entry = self._entries[0]
            if entry.is_bound:
                # Work in threads may still have to say something; a bound alone is no reason to hurry.
                await asyncio.sleep(IDLE_SECONDS)
                self._drop_over()
                if not self._entries or self._entries[0][:2] != (hour, number):
                    continue
            self._wake_until(hour)
