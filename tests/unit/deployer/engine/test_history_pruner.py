"""When something is old enough to be dropped: never because a clock was wrong for a while."""

import asyncio
from typing import Any, cast

import pytest

from kadeploy_deployer.engine.history_pruner import DAY, LOOK_SECONDS, HistoryPruner
from kadeploy_deployer.ports.operation_store import NewOperation, RequestName
from tests.fakes.fake_operation_store import FakeOperationStore
from tests.fakes.manual_clock import ManualClock


class WrongClock(ManualClock):
    """`wrong`: how far the time is from what it should be."""

    def __init__(self) -> None:
        super().__init__(automatic=False)
        self.wrong = 0.0

    def now(self) -> float:
        """As in the port."""
        return self.time + self.wrong


class Events:
    """Remembers what it was told to drop."""

    def __init__(self) -> None:
        self.before: list[float] = []

    async def prune_one(self, *, before: float) -> bool:
        """As in the port; there is nothing."""
        self.before.append(before)
        return False


async def hours(clock: WrongClock, count: int) -> None:
    """Lets hours go by, and what wants to do something do it."""
    for _ in range(count):
        clock.advance(LOOK_SECONDS)
        await asyncio.sleep(0.01)


async def request(store: FakeOperationStore, clock: WrongClock, name: str) -> None:
    """Asks for an operation that ends at once."""
    operation = NewOperation(id=f"op-{name}", owner="alice", lease_seconds=30.0, now=clock.now())
    await store.open_request(
        operation, RequestName(owner="alice", request_id=name, fingerprint="f"), ["n1"], refused={}
    )
    await store.release(operation.id)


@pytest.mark.parametrize("wrong", [DAY, -DAY, 30 * DAY])
async def test_a_clock_that_is_wrong_for_less_than_an_hour_drops_nothing(wrong: float) -> None:
    clock, store, events = WrongClock(), FakeOperationStore(), Events()
    forgetting = HistoryPruner(store=cast("Any", events), operations=store, clock=clock, days=1.0)
    forgetting.open()
    await asyncio.sleep(0)
    await request(store, clock, "r-1")
    clock.advance(LOOK_SECONDS / 2)
    clock.wrong = wrong
    await request(store, clock, "r-2")
    await hours(clock, 1)
    clock.wrong = 0.0
    await hours(clock, 1)

    assert [await store.known_request("alice", name) is not None for name in ("r-1", "r-2")] == [True, True]
    assert events.before == []
    await forgetting.close()


async def test_a_deployer_that_starts_with_a_wrong_clock_drops_nothing_before_it_was_put_right() -> None:
    clock, store, events = WrongClock(), FakeOperationStore(), Events()
    await request(store, clock, "r-1")
    clock.wrong = 30 * DAY
    forgetting = HistoryPruner(store=cast("Any", events), operations=store, clock=clock, days=1.0)
    forgetting.open()
    await asyncio.sleep(0.01)
    clock.wrong = 0.0
    await hours(clock, 1)

    assert await store.known_request("alice", "r-1") is not None
    assert events.before == []
    await forgetting.close()


async def test_requests_are_known_for_a_day_also_where_events_are_kept_for_ever() -> None:
    clock, store, events = WrongClock(), FakeOperationStore(), Events()
    forgetting = HistoryPruner(store=cast("Any", events), operations=store, clock=clock, days=0.0)
    forgetting.open()
    await asyncio.sleep(0)
    await request(store, clock, "r-1")
    await hours(clock, 24)
    assert await store.known_request("alice", "r-1") is not None
    await hours(clock, 1)
    await asyncio.sleep(0.01)
    assert await store.known_request("alice", "r-1") is None
    assert events.before == []
    await forgetting.close()
