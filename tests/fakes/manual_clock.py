"""A clock that stands still until somebody sleeps on it, and then jumps: no test waits."""

import asyncio
import heapq
import itertools

SETTLE_ROUNDS = 30
"""Rounds of the event loop in which all that can go on without waiting does so, before time moves."""


class ManualClock:
    """Time as a number.

    With `automatic`, time jumps to the next sleeper's hour whenever nothing else can go on, so concurrent sleepers
    wake in the order of their hours. Without it, `advance` moves the time.
    """

    def __init__(self, start: float = 1_700_000_000.0, *, automatic: bool = True) -> None:
        self.time = start
        self.slept: list[float] = []
        self._automatic = automatic
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
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
        heapq.heappush(self._sleepers, (self.time + seconds, next(self._order), future))
        if self._automatic and (self._pump is None or self._pump.done()):
            self._pump = asyncio.create_task(self._run())
        await future

    async def synchronise(self) -> float:
        """As in the port."""
        return 0.0

    def advance(self, seconds: float) -> None:
        """Moves the time on and wakes all whose hour has come."""
        self._wake_until(self.time + seconds)

    def _wake_until(self, time: float) -> None:
        while self._sleepers and self._sleepers[0][0] <= time:
            hour, _, future = heapq.heappop(self._sleepers)
            self.time = max(self.time, hour)
            if not future.done():
                future.set_result(None)
        self.time = max(self.time, time)

    async def _run(self) -> None:
        while self._sleepers:
            for _ in range(SETTLE_ROUNDS):
                await asyncio.sleep(0)
            while self._sleepers and self._sleepers[0][2].done():
                heapq.heappop(self._sleepers)
            if self._sleepers:
                self._wake_until(self._sleepers[0][0])
