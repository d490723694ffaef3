"""Nodes are done with a step one by one: each has its own time, and is done whatever becomes of the others."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from kadeploy_deployer.domain.events import StepEnded
from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.states import DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.steps.step import StepContext
from kadeploy_deployer.store.database import Database
from tests.fakes.deployment_world import World, make_database
from tests.fakes.scripted_step import ScriptedStep, straight_plan

BROKEN = Failure(reason=FailureReason.FORMAT_FAILED, description="mkfs.ext4: exit 1")


class StaggeredStep(ScriptedStep):
    """Says of nodes how they ended, and when after its beginning, before it goes on as it is scripted."""

    ends: Mapping[str, tuple[Outcome, float]] = {}
    told: asyncio.Event | None = None

    async def run(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
        """As in the protocol."""
        start = time.time()
        for node, (outcome, after) in self.ends.items():
            if node in nodes:
                await context.recorder.ended(node, outcome, at=start + after)
        if self.told is not None:
            self.told.set()
        return await super().run(context, nodes)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


async def test_each_node_has_the_seconds_of_its_own(database: Database) -> None:
    write = StaggeredStep("write", answers={"node2": [BROKEN]})
    write.ends = {"node1": (None, 5.0), "node2": (BROKEN, 70.0)}
    world = World(database=database, plan=straight_plan(write=write))
    deployment = await world.run()
    seconds = {node.node: one.seconds for node in deployment.nodes for one in node.steps if one.step == "write"}
    assert seconds == {"node1": pytest.approx(5.0, abs=1.0), "node2": pytest.approx(70.0, abs=1.0)}
    events = await world.store.events(deployment.id, after=0, limit=100)
    ended = {event.node: event for event in events if isinstance(event.kind, StepEnded) and event.kind.step == "write"}
    assert ended["node2"].time - ended["node1"].time == pytest.approx(65.0, abs=1.0)
    assert len([event for event in events if isinstance(event.kind, StepEnded)]) == 5


async def test_a_node_that_is_done_stays_done_when_the_step_breaks_off(database: Database) -> None:
    write = StaggeredStep("write", answers={"node1": [None], "node2": [RuntimeError("surprise")]})
    write.ends = {"node1": (None, 0.0)}
    deployment = await World(database=database, plan=straight_plan(write=write)).run()
    good, bad = deployment.nodes
    assert good.state is PartitionState.DEPLOYED
    assert (bad.state, bad.reason) == (PartitionState.ERROR, FailureReason.INTERNAL)


@pytest.mark.parametrize("step", ["write", "reboot"])
async def test_whoever_takes_over_asks_only_the_nodes_that_are_not_done(database: Database, step: str) -> None:
    state = {"write": PartitionState.DEPLOYING, "reboot": PartitionState.REBOOTING}[step]
    held = StaggeredStep(step, state, holds=asyncio.Event())
    held.ends, held.told = {"node1": (None, 1.0)}, asyncio.Event()
    first = World(database=database, plan=straight_plan(**{step: held}))
    deployment = await first.create()
    async with asyncio.timeout(10):
        await held.told.wait()
        await held.entered.wait()
    await first.supervisor.close()
    again = ScriptedStep(step, state)
    second = World(database=database, plan=straight_plan(**{step: again}))
    second.supervisor.open()
    ended = await second.finished(deployment.id)
    await second.supervisor.close()
    assert ended.state is DeploymentState.TERMINATED
    assert again.runs == [("node2",)]
    assert {node.node: len(node.steps) for node in ended.nodes} == {"node1": 3, "node2": 3}
