"""A deployment with the real plan is cancelled at any moment: its nodes are free, told so, and boot their default."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kadeploy_deployer.domain.errors import DeploymentFinished
from kadeploy_deployer.domain.outcome import Outcome
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
NOT_NEEDED = {"preinstall", "mount_image", "postinstall"}
"""Of a tar image without archives."""
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

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    async def run(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
        if self._moment == "before":
            await self._cancel(context)
        elif self._moment == "inside":
            context.recorder.ended = self._cancelling(context, context.recorder.ended)  # type: ignore[method-assign]
        outcomes = await self._step.run(context, nodes)
        if self._moment == "after":
            await self._cancel(context)
        return outcomes  # type: ignore[no-any-return]

    def _cancelling(self, context: StepContext, ended: Any) -> Any:
        async def cancelling(node: str, outcome: Outcome, **named: Any) -> None:
            await ended(node, outcome, **named)
            await self._cancel(context)

        return cancelling

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
    if name == PLAN[-1].name and moment == "after":
        # It came when the last step was over: there is nothing left to cancel.
        assert (deployment.state, done) == (DeploymentState.TERMINATED, set(NAMES))
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
