"""Each node walks the plan by itself: none waits for another one, and each goes on where its own journal is."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadeploy_deployer.domain.deployment import Deployment, NodeDeployment
from kadeploy_deployer.domain.events import PartitionStateChanged, StepEnded, StepStarted
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.steps.step import StepContext
from kadeploy_deployer.store.database import Database
from tests.fakes.deployment_world import SPEC, World, make_database
from tests.fakes.scripted_step import ScriptedStep, straight_plan
from tests.fakes.until import until

BROKEN = Failure(reason=FailureReason.FORMAT_FAILED, description="mkfs.ext4: exit 1", retriable=False)


class HeldStep(ScriptedStep):
    """Holds only the nodes that it is told to."""

    held: frozenset[str] = frozenset()
    free = asyncio.Event()

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        """As in the protocol."""
        if node in self.held:
            self.runs.append(node)
            await self.free.wait()
        return await super().run(context, node)


def held_step(name: str, state: PartitionState, *nodes: str) -> HeldStep:
    """Returns a step that holds these nodes until its event `free` is set."""
    step = HeldStep(name, state)
    step.held, step.free = frozenset(nodes), asyncio.Event()
    return step


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


async def deployed(world: World, deployment: Deployment, node: str) -> NodeDeployment:
    """Returns a node as soon as it is deployed."""

    async def found() -> NodeDeployment:
        return next(one for one in (await world.store.get(deployment.id)).nodes if one.node == node)

    async with asyncio.timeout(10):
        while (one := await found()).state is not PartitionState.DEPLOYED:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
    return one


@pytest.mark.parametrize("held_in", ["boot", "write", "reboot"])
async def test_a_node_is_deployed_and_free_while_another_one_is_still_in_any_step(
    database: Database, held_in: str
) -> None:
    states = {step.name: step.partition_state for step in straight_plan()}
    slow = held_step(held_in, states[held_in], "node1")
    world = World(database=database, plan=straight_plan(**{held_in: slow}))
    created = await world.create()

    good = await deployed(world, created, "node2")

    assert good.end_time is not None
    assert await world.store.holders(["node1", "node2"]) == {"node1": created.id}
    partitions = {one.node: one.state for one in await world.store.list_partitions([], after=None, limit=9)}
    assert partitions == {"node1": states[held_in], "node2": PartitionState.DEPLOYED}
    events = await world.store.events(created.id, after=0, limit=100)
    assert PartitionStateChanged(state=PartitionState.DEPLOYED) in [one.kind for one in events if one.node == "node2"]
    # Somebody else may have the node at once.
    other = World(database=database, plan=straight_plan())
    (again, _) = (await other.create(SPEC)).nodes
    assert again.reason is FailureReason.BUSY
    slow.free.set()
    assert (await world.finished(created.id)).state is DeploymentState.TERMINATED


async def test_a_node_that_fails_is_left_bootable_and_free_at_once(database: Database) -> None:
    bootable: list[str] = []

    async def recover(_context: StepContext, node: str) -> None:
        bootable.append(node)

    slow = held_step("reboot", PartitionState.REBOOTING, "node1")
    plan = straight_plan(write=ScriptedStep("write", answers={"node2": [BROKEN]}), reboot=slow)
    world = World(database=database, plan=plan, recover=recover)
    created = await world.create()

    await until(lambda: bootable == ["node2"])
    async with asyncio.timeout(10):
        while await world.store.holders(["node1", "node2"]) != {"node1": created.id}:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
    assert (await world.store.get(created.id)).state is DeploymentState.DEPLOYING
    slow.free.set()
    ended = await world.finished(created.id)
    assert ended.description == "1 of 2 nodes deployed; failed: node2 (format failed)"
    assert bootable == ["node2"]


async def test_leaving_one_step_and_entering_the_next_is_one_write(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    writes: list[list[str]] = []
    write = world.store.write

    async def counted(lease: object, entries: object, **named: object) -> None:
        writes.append([entry.node for entry in entries])  # type: ignore[attr-defined]
        await write(lease, entries, **named)  # type: ignore[arg-type]

    world.store.write = counted  # type: ignore[method-assign]
    deployment = await world.run()

    assert deployment.state is DeploymentState.TERMINATED
    # Into the first step, twice into the next one, and out of the last one; both nodes each time.
    assert writes == [["node1", "node2"]] * 4


async def test_each_node_has_the_seconds_of_its_own(database: Database) -> None:
    class Slow(ScriptedStep):
        async def run(self, context: StepContext, node: str) -> NodeFacts:
            await asyncio.sleep(0.3 if node == "node2" else 0.0)
            return await super().run(context, node)

    world = World(database=database, plan=straight_plan(write=Slow("write")))
    deployment = await world.run()
    seconds = {node.node: one.seconds for node in deployment.nodes for one in node.steps if one.step == "write"}
    assert seconds["node1"] < 0.2 < seconds["node2"] < 2.0
    events = await world.store.events(deployment.id, after=0, limit=100)
    ended = {event.node: event for event in events if isinstance(event.kind, StepEnded) and event.kind.step == "write"}
    assert ended["node2"].time - ended["node1"].time == pytest.approx(0.3, abs=0.2)
    assert abs(time.time() - ended["node2"].time) < 10
    assert len([event for event in events if isinstance(event.kind, StepEnded)]) == 6


async def test_whoever_takes_over_lets_each_node_go_on_at_its_own_step_and_attempt(database: Database) -> None:
    boot = held_step("boot", PartitionState.TO_DEPLOY, "node1")
    write = held_step("write", PartitionState.DEPLOYING, "node2")
    again = Failure(reason=FailureReason.FORMAT_FAILED, description="exit 1")
    write.retries = 1
    first = World(database=database, plan=straight_plan(boot=boot, write=write))
    created = await first.create()
    await until(lambda: boot.runs.count("node1") == 1 and write.runs.count("node2") == 1)
    # The second attempt of node2 hangs.
    write._answers["node2"] = [again]
    write.free.set()
    write.free = asyncio.Event()
    await until(lambda: write.runs.count("node2") >= 3)
    await first.supervisor.close()
    left = {node.node: (node.step, node.attempt) for node in (await first.store.get(created.id)).nodes}
    assert left == {"node1": ("boot", 1), "node2": ("write", 2)}

    plan = straight_plan()
    second = World(database=database, plan=plan)
    second.supervisor.open()
    ended = await second.finished(created.id)
    await second.supervisor.close()

    assert ended.state is DeploymentState.TERMINATED
    assert [step.runs for step in plan] == [["node1"], ["node2", "node1"], ["node2", "node1"]] or [
        sorted(step.runs) for step in plan
    ] == [["node1"], ["node1", "node2"], ["node1", "node2"]]
    attempts = {node.node: [one.attempts for one in node.steps] for node in ended.nodes}
    assert attempts == {"node1": [1, 1, 1], "node2": [1, 2, 1]}
    events = await second.store.events(created.id, after=0, limit=100)
    started = [event.kind for event in events if event.node == "node2" and isinstance(event.kind, StepStarted)]
    # To go on at a step that stands in the journal needs no new entry.
    assert [(kind.step, kind.attempt) for kind in started] == [("boot", 1), ("write", 1), ("write", 2), ("reboot", 1)]


async def test_a_failed_node_that_its_deployer_had_no_time_to_leave_bootable_is_left_so_by_the_next(
    database: Database,
) -> None:
    begun, bootable = asyncio.Event(), []

    async def hangs(_context: StepContext, _node: str) -> None:
        begun.set()
        await asyncio.sleep(3600)

    async def recover(_context: StepContext, node: str) -> None:
        bootable.append(node)

    slow = held_step("reboot", PartitionState.REBOOTING, "node1")
    broken = ScriptedStep("write", answers={"node2": [BROKEN]})
    first = World(database=database, plan=straight_plan(write=broken, reboot=slow), recover=hangs)
    created = await first.create()
    await begun.wait()
    await first.supervisor.close()
    assert set(await first.store.holders(["node1", "node2"])) == {"node1", "node2"}

    second = World(database=database, plan=straight_plan(), recover=recover)
    second.supervisor.open()
    ended = await second.finished(created.id)
    await second.supervisor.close()

    assert bootable == ["node2"]
    assert [node.state for node in ended.nodes] == [PartitionState.DEPLOYED, PartitionState.ERROR]
    assert await second.store.holders(["node1", "node2"]) == {}
