"""The inventory, bootctl or the database is away for 30 seconds in the middle of deployments."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from kadeploy_deployer.domain.errors import StoreUnreachable
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.engine import rights
from kadeploy_deployer.store import database as database_room
from kadeploy_deployer.store.database import Database
from kadeploy_edge.errors import Unreachable
from tests.fakes.deployment_world import World, make_database
from tests.fakes.scripted_step import ScriptedStep, straight_plan
from tests.fakes.simulated_site import SimulatedSite

pytestmark = pytest.mark.integration

NAMES = ("node-1", "node-2", "node-3")
OUTAGE = 30.0
FAILED = Failure(reason=FailureReason.FORMAT_FAILED, description="exit 1", retriable=False)


class InventoryAway(Unreachable):
    reason = "INVENTORY_UNREACHABLE"


class DatabaseAway(sqlite3.OperationalError):
    sqlite_errorcode = sqlite3.SQLITE_CANTOPEN


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Returns an event; while it is set, no transaction succeeds."""
    away = asyncio.Event()
    transact = database_room._transact

    def failing(*call: Any) -> Any:
        if away.is_set():
            raise OperationalError("BEGIN", None, DatabaseAway("unable to open database file"))
        return transact(*call)

    monkeypatch.setattr(database_room, "_transact", failing)
    monkeypatch.setattr(database_room, "OUTAGE_PAUSE", 0.02)
    return away


@pytest.mark.parametrize("calls_before", [0, 1, 2, 3])
async def test_bootctl_may_be_away_for_half_a_minute_before_any_call(
    calls_before: int, tmp_path: Path, database: Database
) -> None:
    site = SimulatedSite(tmp_path, database, NAMES)
    clock, calls, begun = site.workshop.clock, 0, 0.0

    def away() -> bool:
        nonlocal calls, begun
        calls += 1
        if calls == calls_before + 1:
            begun = clock.time
        return bool(begun) and clock.time < begun + OUTAGE

    site.workshop.boot.away = away
    deployment = await site.world.run(site.spec())

    assert deployment.state is DeploymentState.TERMINATED, deployment.description
    assert clock.time >= begun + OUTAGE > OUTAGE


async def test_a_bootctl_that_stays_away_fails_the_nodes_with_its_reason(tmp_path: Path, database: Database) -> None:
    site = SimulatedSite(tmp_path, database, NAMES)
    site.workshop.boot.away = lambda: True

    deployment = await site.world.run(site.spec())

    assert {node.reason for node in deployment.nodes} == {FailureReason.BOOT_FILES_FAILED}
    assert "bootctl does not answer" in deployment.nodes[0].description
    assert await site.world.store.holders(NAMES) == {}


async def test_without_the_inventory_nothing_new_begins_and_what_runs_goes_on_when_it_is_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "PAUSE", 0.02)
    step = ScriptedStep("write", holds=(held := asyncio.Event()))
    reboot = ScriptedStep("reboot", PartitionState.REBOOTING)
    world = World(database=database, plan=straight_plan(write=step, reboot=reboot))
    created = await world.create(request_id="r-1")
    await step.entered.wait()

    world.inventory.error = InventoryAway("the inventory does not answer")
    with pytest.raises(InventoryAway):
        await world.create(request_id="r-2")
    held.set()
    await asyncio.sleep(0.3)
    # Nobody can say whether the right still stands, so the next step waits.
    assert not reboot.entered.is_set()
    # A request that was answered already is answered again without asking anybody.
    assert (await world.create(request_id="r-1")).id == created.id

    world.inventory.error = None
    assert (await world.finished(created.id)).state is DeploymentState.TERMINATED
    again = await world.create(request_id="r-2")
    assert (await world.finished(again.id)).state is DeploymentState.TERMINATED


async def test_an_inventory_that_stays_away_ends_the_deployment_and_takes_no_right(
    tmp_path: Path, database: Database
) -> None:
    site = SimulatedSite(tmp_path, database, NAMES)
    clock = site.workshop.clock
    created = await site.world.create(site.spec())
    site.world.inventory.error = InventoryAway("the inventory does not answer on 10.0.0.9:7401")
    begun = clock.time

    deployment = await site.world.finished(created.id)

    assert {node.reason for node in deployment.nodes} == {FailureReason.INTERNAL}
    assert "nobody could say whether alice still has the right" in deployment.nodes[0].description
    assert "the inventory does not answer on 10.0.0.9:7401" in deployment.nodes[0].description
    assert clock.time - begun >= rights.PATIENCE
    assert await site.world.store.holders(NAMES) == {}


@pytest.mark.parametrize("lease_seconds", [30.0, 0.3], ids=["shorter than a lease", "longer than a lease"])
@pytest.mark.parametrize("step", ["boot", "write", "reboot"])
async def test_the_database_may_be_away_in_any_step(
    step: str, lease_seconds: float, database: Database, outage: asyncio.Event
) -> None:
    held = asyncio.Event()
    plan = straight_plan()
    slow = next(one for one in plan if one.name == step)
    slow._holds = held
    world = World(database=database, plan=plan, lease_seconds=lease_seconds)
    world.supervisor.open()
    created = await world.create()
    await slow.entered.wait()

    outage.set()
    held.set()
    await asyncio.sleep(0.7)
    outage.clear()
    deployment = await world.finished(created.id)
    await world.supervisor.close()

    assert deployment.state is DeploymentState.TERMINATED
    assert {node.state for node in deployment.nodes} == {PartitionState.DEPLOYED}
    assert [record.step for record in deployment.nodes[0].steps] == ["boot", "write", "reboot"]


async def test_a_database_that_is_away_when_the_runner_reads_is_nobodys_fault(database: Database) -> None:
    world = World(database=database, plan=straight_plan(), lease_seconds=0.3)
    load, tries = world.store.load, 0

    async def away_at_first(deployment_id: str) -> Any:
        nonlocal tries
        tries += 1
        if tries <= 5:  # more often than a fault of ours would be tried again
            raise StoreUnreachable("the database does not answer")
        return await load(deployment_id)

    world.store.load = away_at_first  # type: ignore[method-assign]
    deployment = await world.run()

    assert deployment.state is DeploymentState.TERMINATED
    assert tries > 5


@pytest.mark.parametrize("number", range(1, 15))
async def test_the_answer_to_any_commit_may_be_lost(
    number: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    transact, commits = database_room._transact, 0

    def forgetful(engine: Any, work: Any) -> Any:
        nonlocal commits
        answer = transact(engine, work)
        if engine is database.engine:
            commits += 1
            if commits == number:
                raise OperationalError("COMMIT", None, DatabaseAway("the connection broke"))
        return answer

    monkeypatch.setattr(database_room, "_transact", forgetful)
    monkeypatch.setattr(database_room, "OUTAGE_PAUSE", 0.02)
    plan = straight_plan(write=ScriptedStep("write", answers={"node2": [FAILED]}))
    world = World(database=database, plan=plan, lease_seconds=0.9)
    world.supervisor.open()
    try:
        created = await world.create(request_id="r-1")
    except StoreUnreachable:
        created = await world.create(request_id="r-1")
    deployment = await world.finished(created.id)
    await world.supervisor.close()

    assert [(node.node, node.state) for node in deployment.nodes] == [
        ("node1", PartitionState.DEPLOYED),
        ("node2", PartitionState.ERROR),
    ]
    assert [record.step for record in deployment.nodes[0].steps] == ["boot", "write", "reboot"]
    assert deployment.nodes[1].reason is FailureReason.FORMAT_FAILED
    assert await world.store.holders(["node1", "node2"]) == {}
    events = await world.store.events(created.id, after=0, limit=999)
    assert [event.sequence for event in events] == list(range(1, deployment.last_sequence + 1))
