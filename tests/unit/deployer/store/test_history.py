"""What is forgotten of deployments that ended long ago, on each engine, and what a watcher of one is told then."""

import asyncio
import time

import pytest

from kadeploy_deployer.domain.errors import WatchHistoryGone
from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.engine.event_log import EventLog, Snapshot
from kadeploy_deployer.engine.history_pruner import HistoryPruner
from kadeploy_deployer.store.database import Database
from tests.fakes.deployment_world import WallClock, World
from tests.fakes.scripted_step import straight_plan

pytestmark = pytest.mark.integration

DAY = 86400.0


class Days(WallClock):
    """Some days later."""

    def __init__(self, days: float) -> None:
        self._days = days

    def now(self) -> float:
        return super().now() + self._days * DAY

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.01))


async def test_old_stories_go_and_what_statistics_count_stays(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    done = [await world.run() for _ in range(2)]
    young = HistoryPruner(store=world.store, clock=Days(29), days=30)
    young.open()
    await asyncio.sleep(0.2)
    await young.close()
    assert len(await world.store.events(done[0].id, after=0, limit=99)) > 0

    old = HistoryPruner(store=world.store, clock=Days(31), days=30)
    old.open()
    async with asyncio.timeout(20):
        for deployment in done:
            while await world.store.events(deployment.id, after=0, limit=1):  # noqa: ASYNC110 - nobody sets an event
                await asyncio.sleep(0.02)
    await old.close()

    kept = await world.store.get(done[0].id)
    assert (kept.state, [record.step for record in kept.nodes[0].steps]) == (
        DeploymentState.TERMINATED,
        ["boot", "write", "reboot"],
    )
    assert [one.deployment_id for one in await world.store.list_partitions([], after=None, limit=9)] == [done[1].id] * 2
    await world.supervisor.close()


async def test_what_has_not_ended_is_never_forgotten(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    deployment = await world.run()
    assert not await world.store.prune_one(before=deployment.create_time)
    assert await world.store.prune_one(before=time.time() + DAY)
    assert not await world.store.prune_one(before=time.time() + DAY)
    await world.supervisor.close()


async def test_a_watcher_gets_the_end_as_a_snapshot_and_cannot_resume(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    deployment = await world.run()
    assert await world.store.prune_one(before=time.time() + DAY)
    log = EventLog(poll_seconds=0.05)
    async with asyncio.timeout(10):
        messages = [one async for one in log.watch(deployment.id, after=0, store=world.store, clock=world.clock)]
        assert [type(one) for one in messages] == [Snapshot]
        with pytest.raises(WatchHistoryGone):
            await anext(log.watch(deployment.id, after=3, store=world.store, clock=world.clock))
    await world.supervisor.close()
