"""When something is old enough to be dropped: never because a clock was wrong for a while."""

import asyncio
from typing import Any, cast

import pytest

from kadeploy_deployer.engine.history_pruner import DAY, LOOK_SECONDS, HistoryPruner
from tests.fakes.manual_clock import ManualClock


class WrongClock(ManualClock):
    """`wrong`: how far the time is from what it should be."""

    def __init__(self) -> None:
        super().__init__(automatic=False)
        self.wrong = 0.0

    def now(self) -> float:
        """As in the port."""
        return self.time + self.wrong


class History:
    """Remembers what it was to drop: events and outputs before which time, and operations."""

    def __init__(self) -> None:
        self.before: list[float] = []
        self.operations_before: list[float] = []

    async def prune_one(self, *, before: float) -> bool:
        """Drops nothing."""
        self.before.append(before)
        return False

    async def drop_operations(self, *, before: float) -> bool:
        """Drops nothing."""
        self.operations_before.append(before)
        return False


async def hours(clock: WrongClock, count: int) -> None:
    """Lets hours go by, and what wants to do something do it."""
    for _ in range(count):
        clock.advance(LOOK_SECONDS)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("wrong", [DAY, -DAY, 30 * DAY])
async def test_a_clock_that_is_wrong_for_less_than_an_hour_drops_nothing(wrong: float) -> None:
    clock, history = WrongClock(), History()
    pruner = HistoryPruner(store=cast("Any", history), clock=clock, days=1.0)
    pruner.open()
    await asyncio.sleep(0)
    clock.advance(LOOK_SECONDS / 2)
    clock.wrong = wrong
    await hours(clock, 1)
    clock.wrong = 0.0
    await hours(clock, 1)

    assert (history.before, history.operations_before) == ([], [])
    await pruner.close()


async def test_a_deployer_that_starts_with_a_wrong_clock_drops_nothing_before_it_was_put_right() -> None:
    clock, history = WrongClock(), History()
    clock.wrong = 30 * DAY
    pruner = HistoryPruner(store=cast("Any", history), clock=clock, days=1.0)
    pruner.open()
    await asyncio.sleep(0.01)
    clock.wrong = 0.0
    await hours(clock, 1)

    assert (history.before, history.operations_before) == ([], [])
    await pruner.close()


@pytest.mark.parametrize(("days", "kept"), [(0.25, 1.0), (30.0, 30.0)])
async def test_operations_are_known_for_a_day_at_least(days: float, kept: float) -> None:
    clock, history = WrongClock(), History()
    pruner = HistoryPruner(store=cast("Any", history), clock=clock, days=days)
    pruner.open()
    await asyncio.sleep(0)
    await hours(clock, 1)
    assert history.operations_before == [clock.now() - kept * DAY]
    assert history.before == [clock.now() - days * DAY]
    await pruner.close()


async def test_where_history_is_kept_for_ever_nothing_is_dropped() -> None:
    clock, history = WrongClock(), History()
    pruner = HistoryPruner(store=cast("Any", history), clock=clock, days=0.0)
    pruner.open()
    await asyncio.sleep(0)
    await hours(clock, 30)
    assert (history.before, history.operations_before) == ([], [])
    await pruner.close()
