"""Deployments that nobody brings to their end: when that is so, and what becomes of their nodes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kadeploy_deployer.domain.deployment import Deployment
from kadeploy_deployer.domain.states import DeploymentState, FailureReason
from kadeploy_deployer.domain.transition import NodePosition, StepTarget, enter
from kadeploy_deployer.engine import lease_holder
from kadeploy_deployer.steps.step import StepContext
from kadeploy_deployer.store.database import Database
from tests.fakes.deployment_world import World, make_database, new_deployment
from tests.fakes.scripted_step import ScriptedStep, straight_plan

pytestmark = pytest.mark.integration


class Recovery:
    """Notes which nodes are to be left bootable. `error`: what it raises then."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.nodes: list[str] = []
        self._error = error

    async def __call__(self, _context: StepContext, node: str) -> None:
        self.nodes.append(node)
        if self._error is not None:
            raise self._error


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


async def ended_by(world: World, name: str) -> Deployment:
    """Lets a world end an orphan, and returns it."""
    world.supervisor.open()
    deployment = await world.finished(name)
    await world.supervisor.close()
    assert await world.store.holders([node.node for node in deployment.nodes]) == {}
    return deployment


async def deaths(world: World, name: str, count: int) -> None:
    """Lets so many deployers take a deployment and die."""
    for number in range(count):
        leases = await world.claim_all(f"dead-{number}", lease_seconds=0.0)
        assert name in [lease.deployment_id for lease in leases]


async def test_the_nodes_of_a_lost_deployment_are_left_bootable(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_holder, "MOST_DRIVERS", 1)
    recovery = Recovery()
    world = World(database=database, plan=straight_plan(), recover=recovery)
    await world.store.create(new_deployment("orphan", ["node1", "node2"], lease_seconds=0.0))

    deployment = await ended_by(world, "orphan")

    assert recovery.nodes == ["node1", "node2"]
    assert deployment.state is DeploymentState.ERROR
    assert deployment.description == "lost: 1 deployers in turn died before any node moved on"
    assert {node.reason for node in deployment.nodes} == {FailureReason.LEASE_LOST}


async def test_what_killed_those_who_wanted_to_leave_them_bootable_is_not_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_holder, "MOST_DRIVERS", 1)
    recovery = Recovery()
    world = World(database=database, plan=straight_plan(), recover=recovery)
    await world.store.create(new_deployment("orphan", ["node1"], lease_seconds=0.0))
    await deaths(world, "orphan", 1)

    deployment = await ended_by(world, "orphan")

    assert recovery.nodes == []
    assert deployment.nodes[0].reason is FailureReason.LEASE_LOST


@pytest.mark.parametrize("error", [None, RuntimeError("broken, too")])
async def test_the_nodes_of_a_deployment_that_breaks_off_are_left_bootable(
    error: Exception | None, database: Database
) -> None:
    recovery = Recovery(error)
    world = World(database=database, plan=straight_plan(), recover=recovery, lease_seconds=0.6)

    write = world.store.write

    async def broken(lease: Any, entries: Any, **named: Any) -> None:
        if any(getattr(entry, "enters_step", False) for entry in entries):
            raise RuntimeError("a fault of ours")
        await write(lease, entries, **named)

    world.store.write = broken  # type: ignore[method-assign]
    deployment = await world.run()
    await world.supervisor.close()

    assert recovery.nodes == ["node1", "node2"]
    assert deployment.description == "the deployer broke off: RuntimeError: a fault of ours"
    assert {node.reason for node in deployment.nodes} == {FailureReason.INTERNAL}
    assert await world.store.holders(["node1", "node2"]) == {}


async def test_a_deployment_that_many_gave_back_in_good_order_is_not_lost(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    await world.store.create(new_deployment("handed-on", ["node1"], lease_seconds=0.0))
    for number in range(lease_holder.MOST_DRIVERS + 5):
        leases = await world.claim_all(f"d-{number}")
        await world.store.release(leases)

    assert (await ended_by(world, "handed-on")).state is DeploymentState.TERMINATED


async def test_a_deployment_that_goes_on_a_step_with_each_of_its_drivers_is_not_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_holder, "MOST_DRIVERS", 2)
    plan = [ScriptedStep(name, state.partition_state) for state in straight_plan() for name in (state.name,)]
    world = World(database=database, plan=plan)
    await world.store.create(new_deployment("orphan", ["node1"], lease_seconds=0.0))
    for step in plan[:2]:
        (lease,) = await world.claim_all("dies", lease_seconds=0.0)
        (node,) = (await world.store.get("orphan")).nodes
        assert lease.dead_drivers == 1
        assert node.state is not None
        before = NodePosition(state=node.state, step=node.step, attempt=node.attempt)
        target = StepTarget(name=step.name, state=step.partition_state)
        await world.store.write(lease, [enter("node1", before, target)], now=1.0)

    assert (await ended_by(world, "orphan")).state is DeploymentState.TERMINATED


async def test_what_a_slow_database_claimed_for_us_is_driven_all_the_same(database: Database) -> None:
    world = World(database=database, plan=straight_plan(), lease_seconds=0.9)
    await world.store.create(new_deployment("orphan", ["node1"], lease_seconds=0.0))
    claim, asked = world.store.claim, 0

    async def slow(*orphans: Any, **named: Any) -> Any:
        nonlocal asked
        asked += 1
        leases = await claim(*orphans, **named)
        if asked == 1:
            await asyncio.sleep(0.5)
        return leases

    world.store.claim = slow  # type: ignore[method-assign]
    deployment = await ended_by(world, "orphan")

    assert (deployment.state, deployment.fence) == (DeploymentState.TERMINATED, 2)


async def test_one_that_cannot_be_ended_keeps_no_other_from_being_driven(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_holder, "MOST_DRIVERS", 2)
    world = World(database=database, plan=straight_plan())
    await world.store.create(new_deployment("lost", ["node1"], lease_seconds=0.0))
    await deaths(world, "lost", 3)
    await world.store.create(new_deployment("good", ["node2"], lease_seconds=0.0))
    get = world.store.get

    async def breaks(deployment_id: str) -> Deployment:
        if deployment_id == "lost":
            raise RuntimeError("unreadable")
        return await get(deployment_id)

    world.store.get = breaks  # type: ignore[method-assign]
    world.supervisor.open()
    assert (await world.finished("good")).state is DeploymentState.TERMINATED
    await world.supervisor.close()
