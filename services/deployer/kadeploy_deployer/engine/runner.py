"""Drives one deployment: waits for its nodes, lets each of them walk the plan, and ends when the last one has ended."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from kadeploy_deployer.domain.deployment import Lease, verdict
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger, PartitionTrigger, given_up
from kadeploy_deployer.domain.located_nodes import LocatedNodes
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import DeploymentState, FailureReason
from kadeploy_deployer.domain.transition import fail
from kadeploy_deployer.engine.batching_boot import BatchingBoot
from kadeploy_deployer.engine.event_log import EventLog
from kadeploy_deployer.engine.image_session import ImageSession
from kadeploy_deployer.engine.journal import DeploymentJournal
from kadeploy_deployer.engine.node_walk import LeaveBootable, Walks, recover, walk
from kadeploy_deployer.engine.racing import Stopped, all_of
from kadeploy_deployer.engine.rights import RightsGuard, RightsQuery, overwritten_partitions
from kadeploy_deployer.engine.shared_images import SharedImages, make_readers
from kadeploy_deployer.engine.waiting import Waiting, cancel_reason
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.nodes.reboot_window import RebootWindows
from kadeploy_deployer.ports import Inventory
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.ports.store_values import RunData
from kadeploy_deployer.steps.step import Step, StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """What is the same for all deployments.

    `windows`: shared by all that reboots nodes in this process. `readers`: read the archives of all deployments.
    """

    plan: Sequence[Step]
    ports: StepPorts
    windows: RebootWindows
    leave_bootable: LeaveBootable
    deployment_host_keys: tuple[str, ...]
    cluster_public_key: str
    readers: FileThreads = field(default_factory=make_readers)


class Runner:
    """Drives one deployment as long as the lease is held."""

    def __init__(
        self, *, lease: Lease, store: DeploymentStore, log: EventLog, settings: RunnerSettings, inventory: Inventory
    ) -> None:
        self._inventory = inventory
        self._lease = lease
        self._store = store
        self._settings = settings
        self._clock = settings.ports.clock
        self._journal = DeploymentJournal(store=store, lease=lease, log=log, clock=self._clock)
        self._cancelled = asyncio.Event()

    def cancel(self) -> None:
        """Makes the deployment end as cancelled, as soon as the work at hand has been stopped."""
        self._cancelled.set()

    async def run(self) -> None:
        """Drives the deployment to its end. Raises LeaseLost when somebody else drives it."""
        data = await self._store.load(self._lease.deployment_id)
        if data.deployment.cancel_requested:
            self._cancelled.set()
        guard = self._guard(data)
        if data.deployment.state is DeploymentState.WAITING:
            waiting = Waiting(
                lease=self._lease,
                store=self._store,
                clock=self._clock,
                recorder=self._journal,
                cancelled=self._cancelled,
                guard=guard,
            )
            if not await waiting.acquire(data):
                return
            data = await self._store.load(self._lease.deployment_id)
        self._journal.resume(data)
        async with _shared(data, self._settings, self._journal, guard) as walks:
            nodes = {node.node: node for node in data.deployment.nodes}
            works = [walk(nodes[node], walks) for node in self._journal.active]
            works += [recover(node, walks) for node in self._journal.unrecovered]
            try:
                await all_of(works, until=self._cancelled)
            except Stopped:
                await self._journal.flush()
                failure = Failure(
                    reason=FailureReason.CANCELLED, description=await cancel_reason(self._store, self._lease)
                )
                await self._fail_the_rest(failure, PartitionTrigger.CANCEL, walks)
        await self._end()

    async def give_up(self, failure: Failure) -> None:
        """Ends the deployment because nobody brings it to its end, and leaves its nodes bootable.

        Raises LeaseLost, StoreFailed, and whatever made it impossible to go on.
        """
        data = await self._store.load(self._lease.deployment_id)
        state = data.deployment.state
        nodes = [node.node for node in data.deployment.nodes if node.active]
        if state is not DeploymentState.WAITING:
            self._journal.resume(data)
            async with _shared(data, self._settings, self._journal, self._guard(data)) as walks:
                await self._fail_the_rest(failure, PartitionTrigger.LOSE, walks)
            nodes = []
        await self._store.end(
            self._lease,
            trigger=given_up(state, failure.reason),
            description=failure.description,
            failures=dict.fromkeys(nodes, failure),
            node_trigger=PartitionTrigger.LOSE,
            now=self._clock.now(),
        )

    async def _fail_the_rest(self, failure: Failure, trigger: PartitionTrigger, walks: Walks) -> None:
        """Takes all nodes that are still on their way out of the deployment, and leaves them bootable."""
        journal = self._journal
        left = [fail(node, journal.positions[node], failure, trigger=trigger) for node in journal.active]
        await asyncio.gather(*(journal.write(one) for one in left))
        await all_of([recover(node, walks) for node in journal.unrecovered])

    def _guard(self, data: RunData) -> RightsGuard:
        """Returns what asks for the right of the deployment's owner on its target partitions."""
        query = RightsQuery(
            user=data.deployment.owner if data.deployment.needs_right else "",
            partitions={name: node.target_word for name, node in data.snapshots.items()},
            more=overwritten_partitions(data.deployment.spec, data.snapshots),
        )
        return RightsGuard(query, inventory=self._inventory, clock=self._clock)

    async def _end(self) -> None:
        deployment = await self._store.get(self._lease.deployment_id)
        good, text = verdict(deployment.nodes)
        trigger = DeploymentTrigger.ALL_DEPLOYED if good else DeploymentTrigger.SOME_FAILED
        if any(node.reason is FailureReason.CANCELLED for node in deployment.nodes):
            trigger, text = DeploymentTrigger.CANCELLED, f"{deployment.cancel_reason or 'cancelled'}; {text}"
        await self._store.end(self._lease, trigger=trigger, description=text, failures={}, now=self._clock.now())


@asynccontextmanager
async def _shared(
    data: RunData, settings: RunnerSettings, journal: DeploymentJournal, guard: RightsGuard
) -> AsyncIterator[Walks]:
    """Yields what all nodes of a deployment share: one read of each file, few calls for many entries, one broadcast."""
    deployment = data.deployment
    images = SharedImages(settings.ports.images, readers=settings.readers)
    image = ImageSession(
        broadcast=settings.ports.broadcast,
        images=images,
        image=deployment.environment.image,
        user=deployment.owner,
    )
    context = StepContext(
        deployment_id=deployment.id,
        owner=deployment.owner,
        spec=deployment.spec,
        environment=deployment.environment,
        nodes=LocatedNodes(data.snapshots, journal.facts),
        profiles=data.profiles,
        facts=journal.facts,
        ports=replace(settings.ports, images=images, boot=BatchingBoot(settings.ports.boot)),
        recorder=journal,
        windows=settings.windows,
        image=image,
        archives=images,
        deployment_host_keys=settings.deployment_host_keys,
        cluster_public_key=settings.cluster_public_key,
    )
    try:
        yield Walks(
            guard=guard,
            context=context,
            plan=settings.plan,
            journal=journal,
            leave_bootable=settings.leave_bootable,
        )
    finally:
        await image.close()
        await images.close()
