"""Drives a deployment or operation: waits for its nodes, lets each walk the plan, and ends when the last has ended."""

import asyncio
from collections.abc import Callable
from typing import Any

from kadeploy_deployer.domain.deployment import Lease, verdict
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger, PartitionTrigger, given_up
from kadeploy_deployer.domain.operation import (
    AnyOperation,
    DeployedEnvironment,
    DeployedPartition,
    Operation,
    outcome_of,
    stopped,
)
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import DeploymentState, FailureReason
from kadeploy_deployer.domain.transition import fail
from kadeploy_deployer.engine.event_log import EventLog
from kadeploy_deployer.engine.journal import DeploymentJournal
from kadeploy_deployer.engine.node_walk import Walks, recover, walk
from kadeploy_deployer.engine.racing import Stopped, all_of
from kadeploy_deployer.engine.rights import RightsGuard, RightsQuery, overwritten_partitions
from kadeploy_deployer.engine.shared_context import RunnerSettings, Walking, open_walks
from kadeploy_deployer.engine.waiting import Waiting, cancel_reason
from kadeploy_deployer.ports import Inventory
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.store_values import Ending, RunData


class Runner:
    """Drives one deployment or operation as long as the lease is held."""

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
        """Makes it end as cancelled, as soon as the work at hand has been stopped."""
        self._cancelled.set()

    async def run(self) -> None:
        """Drives it to its end. Raises LeaseLost when somebody else drives it."""
        data = await self._store.load(self._lease.deployment_id)
        if data.operation.cancel_requested or self._has_lost_its_caller(data.operation):
            self._cancelled.set()
        guard = self._guard(data)
        if data.operation.state is DeploymentState.WAITING:
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
        async with open_walks(self._walking(data, guard)) as walks:
            nodes = {node.node: node for node in data.operation.nodes}
            works = [walk(nodes[node], walks) for node in self._journal.active]
            works += [recover(node, walks) for node in self._journal.unrecovered]
            try:
                await all_of(works, until=self._cancelled)
            except Stopped:
                await self._journal.flush()
                await self._fail_the_rest(await self._cancelled_failure(data), PartitionTrigger.CANCEL, walks)
        await self._end()

    async def give_up(self, failure: Failure) -> None:
        """Ends it because nobody brings it to its end, and leaves its nodes bootable.

        Raises LeaseLost, StoreFailed, and whatever made it impossible to go on.
        """
        data = await self._store.load(self._lease.deployment_id)
        state = data.operation.state
        nodes = [node.node for node in data.operation.nodes if node.active]
        if state is not DeploymentState.WAITING:
            self._journal.resume(data)
            async with open_walks(self._walking(data, self._guard(data))) as walks:
                await self._fail_the_rest(lambda _: failure, PartitionTrigger.LOSE, walks)
            nodes = []
        await self._store.end(
            self._lease,
            Ending(
                trigger=given_up(state, failure.reason),
                description=failure.description,
                failures=dict.fromkeys(nodes, failure),
                node_trigger=PartitionTrigger.LOSE,
            ),
            now=self._clock.now(),
        )

    def _has_lost_its_caller(self, operation: AnyOperation) -> bool:
        """Returns whether an operation that ends with its call was begun by another deployer, and so has no caller."""
        return isinstance(operation, Operation) and operation.spec.ends_with_call and self._lease.fence > 1

    async def _cancelled_failure(self, data: RunData) -> Callable[[str], Failure]:
        """Returns what makes the failure of a node when all is cancelled."""
        if isinstance(data.operation, Operation):
            return lambda node: stopped(node, begun=self._journal.facts[node].begun)
        failure = Failure(reason=FailureReason.CANCELLED, description=await cancel_reason(self._store, self._lease))
        return lambda _: failure

    async def _fail_the_rest(
        self, failure_of: Callable[[str], Failure], trigger: PartitionTrigger, walks: Walks[Any]
    ) -> None:
        """Takes all nodes that are still on their way out of it, and leaves them bootable."""
        journal = self._journal
        left = [fail(node, journal.positions[node], failure_of(node), trigger=trigger) for node in journal.active]
        await asyncio.gather(*(journal.write(one) for one in left))
        await all_of([recover(node, walks) for node in journal.unrecovered])

    def _walking(self, data: RunData, guard: RightsGuard) -> Walking:
        return Walking(data=data, settings=self._settings, journal=self._journal, guard=guard, store=self._store)

    def _guard(self, data: RunData) -> RightsGuard:
        """Returns what asks for the right of the owner."""
        return RightsGuard(_rights_query(data), inventory=self._inventory, clock=self._clock)

    async def _end(self) -> None:
        found = await self._store.find(self._lease.deployment_id)
        good, text = outcome_of(found) if isinstance(found, Operation) else verdict(found.nodes)
        trigger = DeploymentTrigger.ALL_DEPLOYED if good else DeploymentTrigger.SOME_FAILED
        if any(node.reason is FailureReason.CANCELLED for node in found.nodes):
            trigger, text = DeploymentTrigger.CANCELLED, f"{found.cancel_reason or 'cancelled'}; {text}"
        await self._store.end(
            self._lease, Ending(trigger=trigger, description=text, failures={}), now=self._clock.now()
        )


def _rights_query(data: RunData) -> RightsQuery:
    """Returns whose right is asked for: on the target partitions, or, where none is named, on the nodes."""
    operation = data.operation
    user = operation.owner if operation.needs_right else ""
    partitions = {name: node.target_word for name, node in data.snapshots.items()}
    if not isinstance(operation, Operation):
        return RightsQuery(
            user=user, partitions=partitions, more=overwritten_partitions(operation.spec, data.snapshots)
        )
    on_partition = isinstance(operation.spec.reboot.target, DeployedEnvironment | DeployedPartition)
    return RightsQuery(user=user, partitions=partitions if on_partition else {}, to=operation.spec.verb)
