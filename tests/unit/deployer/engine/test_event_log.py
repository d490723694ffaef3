"""Watching: snapshot, scenario, heartbeats, slow watchers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kadeploy_deployer.domain.errors import GoingAway, WatcherTooSlow, WatchHistoryGone
from kadeploy_deployer.domain.events import DeploymentStateChanged, Event, StepProgressed
from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.engine.event_log import EventLog, Heartbeat, Snapshot, WatchMessage
from kadeploy_deployer.ports.store_values import Position
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.deployment_world import World, make_database, new_deployment
from tests.fakes.manual_clock import ManualClock
from tests.fakes.scripted_step import straight_plan


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


def watching(database: Database, log: EventLog, after: int = 0, clock: ManualClock | None = None) -> "Messages":
    clock = clock or ManualClock()
    return log.watch("one", after=after, store=SqlDeploymentStore(database), clock=clock).__aiter__()


Messages = AsyncIterator[WatchMessage]


async def test_the_snapshot_comes_first_and_events_go_on_where_it_ends(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    created = await world.create()

    messages = [m async for m in world.log.watch(created.id, after=0, store=world.store, clock=world.clock)]

    assert isinstance(messages[0], Snapshot)
    sequences = [m.sequence for m in messages[1:] if isinstance(m, Event)]
    first = messages[0].deployment.last_sequence
    assert sequences == list(range(first + 1, first + 1 + len(sequences)))
    final = await world.store.get(created.id)
    assert ([first, *sequences])[-1] == final.last_sequence


async def test_the_last_event_ends_the_watch_and_is_the_end_of_the_deployment(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    deployment = await world.run()

    messages = [m async for m in world.log.watch(deployment.id, after=1, store=world.store, clock=world.clock)]

    last = messages[-1]
    assert isinstance(last, Event)
    assert isinstance(last.kind, DeploymentStateChanged)
    assert last.kind.state is DeploymentState.TERMINATED


async def test_a_watcher_is_told_that_silence_is_no_death(database: Database) -> None:
    await SqlDeploymentStore(database).create(new_deployment("one", ["node1"]))
    messages = watching(database, EventLog(poll_seconds=0.01, heartbeat_seconds=0.0))

    assert isinstance(await anext(messages), Snapshot)
    assert isinstance(await anext(messages), Heartbeat)


async def test_progress_comes_to_watchers_and_is_not_kept(database: Database) -> None:
    store = SqlDeploymentStore(database)
    await store.create(new_deployment("one", ["node1"]))
    log = EventLog(poll_seconds=5.0)
    messages = watching(database, log)
    snapshot = await anext(messages)
    assert isinstance(snapshot, Snapshot)
    waiting = asyncio.ensure_future(anext(messages))
    await asyncio.sleep(0.05)

    for done in (1, 2, 3):
        log.progress("one", "node1", StepProgressed(step="copy", done=done, total=3), time=1.0)
    told = await asyncio.wait_for(waiting, 5)

    # The latest only, with the sequence of the event before it: nothing to resume from.
    assert told == Event(
        sequence=snapshot.deployment.last_sequence,
        time=1.0,
        node="node1",
        kind=StepProgressed(step="copy", done=3, total=3),
    )
    assert (await store.position("one")).last_sequence == snapshot.deployment.last_sequence


async def test_a_watcher_that_does_not_read_is_cut_off(database: Database) -> None:
    await SqlDeploymentStore(database).create(new_deployment("one", ["node1"]))
    clock = ManualClock()
    messages = watching(database, EventLog(patience_seconds=60.0), clock=clock)
    await anext(messages)

    clock.advance(61)

    with pytest.raises(WatcherTooSlow):
        await anext(messages)


async def test_a_watcher_of_a_deployer_that_stops_is_sent_to_another(database: Database) -> None:
    await SqlDeploymentStore(database).create(new_deployment("one", ["node1"]))
    log = EventLog(poll_seconds=5.0)
    messages = watching(database, log)
    await anext(messages)
    waiting = asyncio.ensure_future(anext(messages))
    await asyncio.sleep(0.05)

    log.close()

    with pytest.raises(GoingAway):
        await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("after", [-1, 99])
async def test_a_sequence_that_never_was_cannot_be_resumed_from(database: Database, after: int) -> None:
    await SqlDeploymentStore(database).create(new_deployment("one", ["node1"]))

    with pytest.raises(WatchHistoryGone):
        await anext(watching(database, EventLog(), after))


class CountingStore(SqlDeploymentStore):
    """Counts how often it is asked how far a deployment is."""

    looks = 0

    async def position(self, deployment_id: str) -> Position:
        self.looks += 1
        return await super().position(deployment_id)


async def test_many_watchers_share_their_looks_and_all_see_a_commit_at_once(database: Database) -> None:
    log = EventLog(poll_seconds=0.2, heartbeat_seconds=0.0)
    store = CountingStore(database, on_commit=log.wake)
    await store.create(new_deployment("one", ["node1"]))
    seen: list[int] = []

    async def follow() -> None:
        async for message in log.watch("one", after=0, store=store, clock=ManualClock()):
            if isinstance(message, Event):
                seen.append(message.sequence)
                return

    watchers = [asyncio.create_task(follow()) for _ in range(50)]
    await asyncio.sleep(1.0)
    # By themselves they would have looked 250 times.
    assert 5 <= store.looks <= 30
    before = store.looks
    await store.request_cancel("one", reason="enough", now=1.0)
    async with asyncio.timeout(5):
        await asyncio.gather(*watchers)
    assert len(seen) == 50
    assert store.looks - before <= 10
