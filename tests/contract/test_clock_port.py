"""What every Clock does: the manual one and the database's."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadeploy_deployer.ports import Clock
from kadeploy_deployer.store.database_clock import DatabaseClock
from tests.fakes.deployment_world import make_database
from tests.fakes.manual_clock import ManualClock


@pytest.fixture(params=["manual", "database"])
def clock(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Clock]:
    if request.param == "manual":
        yield ManualClock()
        return
    database = make_database(tmp_path)
    yield DatabaseClock(database)
    database.close()


async def test_asking_for_the_time_changes_nothing_that_was_right(clock: Clock) -> None:
    await clock.synchronise()
    before = clock.now()
    assert abs(await clock.synchronise()) < 0.5
    assert before <= clock.now() + 0.5


async def test_time_goes_on_while_somebody_sleeps(clock: Clock) -> None:
    monotonic, now = clock.monotonic(), clock.now()
    await clock.sleep(0.01)
    assert clock.monotonic() - monotonic >= 0.009
    assert clock.now() >= now


async def test_sleepers_of_a_manual_clock_wake_in_the_order_of_their_hours() -> None:
    clock = ManualClock(0.0)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.time))

    await asyncio.gather(sleeper("a", 3.0, 3.0), sleeper("b", 5.0), sleeper("c", 0.0, 4.0))
    assert woken == [("c", 0.0), ("a", 3.0), ("c", 4.0), ("b", 5.0), ("a", 6.0)]


async def test_a_manual_clock_may_be_moved_by_hand() -> None:
    clock = ManualClock(0.0, automatic=False)
    sleeping = asyncio.create_task(clock.sleep(10.0))
    await asyncio.sleep(0)
    clock.advance(9.0)
    await asyncio.sleep(0)
    assert not sleeping.done()
    clock.advance(1.0)
    await sleeping
    assert clock.now() == 10.0


async def test_a_sleeper_that_gave_up_holds_nobody_up() -> None:
    clock = ManualClock(0.0)
    gone = asyncio.create_task(clock.sleep(5.0))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await clock.sleep(7.0)
    assert clock.time == 7.0
