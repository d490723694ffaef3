"""A deployment with the real plan is cancelled at any moment: its nodes are free, told so, and boot their default."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kadeploy_deployer.domain.errors import DeploymentFinished
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.states import DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.ports import BootLocalDisk
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.steps.step import StepContext
from kadeploy_deployer.store.database import Database
from tests.fakes.deployment_world import make_database
from tests.fakes.fake_machines import DEPLOYMENT
from tests.fakes.simulated_site import SimulatedSite

pytestmark = pytest.mark.integration

NAMES = ("node-1", "node-2")
NOT_NEEDED = {"preinstall", "mount_image", "postinstall", "cloud_init"}
"""Of a tar image without archives or a seed for cloud-init."""
STEPS = [step.name for step in PLAN if step.name not in NOT_NEEDED]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


class Interrupted:
    """A step of the plan that has the deployment cancelled: before it does anything, in the middle, or at its end."""

    def __init__(self, step: Any, site: SimulatedSite, moment: str) -> None:
        self._step, self._site, self._moment = step, site, moment
        self.cancelled = False
        self._first_is_through = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        if self._moment == "before":
            await self._cancel(context)
        elif self._moment == "inside" and node == NAMES[1]:
            # The other node has left the step, and this one is in it.
            await self._first_is_through.wait()
            await self._cancel(context)
        facts: NodeFacts = await self._step.run(context, node)
        self._first_is_through.set()
        if self._moment == "after":
            await self._cancel(context)
        return facts

    async def _cancel(self, context: StepContext) -> None:
        if not self.cancelled:
            self.cancelled = True
            store, supervisor = self._site.world.store, self._site.world.supervisor
            await store.request_cancel(context.deployment_id, reason="cancelled by alice", now=time.time())
            supervisor.cancel(context.deployment_id)


@pytest.mark.parametrize("moment", ["before", "inside", "after"])
@pytest.mark.parametrize("name", STEPS)
async def test_its_nodes_are_free_told_and_bootable(name: str, moment: str, tmp_path: Path, database: Database) -> None:
    site = SimulatedSite(tmp_path, database, NAMES)
    plan = [Interrupted(step, site, moment) if step.name == name else step for step in PLAN]
    interrupted = next(step for step in plan if isinstance(step, Interrupted))
    site.world.settings = replace(site.world.settings, plan=plan)

    deployment = await site.world.run(site.spec())
    assert interrupted.cancelled
    done = {node.node for node in deployment.nodes if node.state is PartitionState.DEPLOYED}
    if done == set(NAMES):
        # It came when the last step was over: there is nothing left to cancel.
        assert (name, moment, deployment.state) == (PLAN[-1].name, "after", DeploymentState.TERMINATED)
        return
    assert deployment.state is DeploymentState.ERROR
    assert deployment.description.startswith("cancelled by alice")
    for node in deployment.nodes:
        if node.node in done:
            continue
        assert node.reason is FailureReason.CANCELLED
        assert site.workshop.boot.entries[node.node] == BootLocalDisk()
        assert site.machines[node.node].runs != DEPLOYMENT
    assert await site.world.store.holders(NAMES) == {}
    with pytest.raises(DeploymentFinished):
        await site.world.store.request_cancel(deployment.id, reason="again", now=time.time())
    assert (await site.world.run(site.spec())).state is DeploymentState.TERMINATED
    await site.world.supervisor.close()
