"""A deployment that waits for its nodes: until it has them, its time is over, or it is cancelled."""

import asyncio
from collections.abc import Mapping

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.holder import in_words
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger, PartitionTrigger
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.recorder import Recorder
from kadeploy_deployer.ports.store_values import RunData

WAIT_POLL = 1.0
MOST_NAMED = 10


class Waiting:
    """Waits for the nodes of one deployment. `cancelled`: set when it is to be cancelled."""

    def __init__(
        self,
        *,
        lease: Lease,
        store: DeploymentStore,
        clock: Clock,
        recorder: Recorder,
        cancelled: asyncio.Event,
    ) -> None:
        self._lease = lease
        self._store = store
        self._clock = clock
        self._recorder = recorder
        self._cancelled = cancelled

    async def acquire(self, data: RunData) -> bool:
        """Waits for the nodes; ends the deployment and returns False when they do not become free."""
        shown: Mapping[str, str] = {}
        while not self._cancelled.is_set():
            busy = await self._store.acquire(self._lease, now=self._clock.now())
            if not busy:
                return True
            if busy != shown:
                held = ", ".join(f"{node} ({in_words(holder)})" for node, holder in list(busy.items())[:MOST_NAMED])
                await self._recorder.remark("", f"waiting for {len(busy)} nodes: {held}")
                shown = busy
            if self._clock.now() >= data.deployment.wait_until:
                await self._give_up(data, busy)
                return False
            await self._clock.sleep(WAIT_POLL)
        reason = await cancel_reason(self._store, self._lease)
        nodes = [node.node for node in data.deployment.nodes if node.active]
        await self._store.end(
            self._lease,
            trigger=DeploymentTrigger.CANCELLED,
            description=reason,
            failures={node: Failure(reason=FailureReason.CANCELLED, description=reason) for node in nodes},
            node_trigger=PartitionTrigger.CANCEL,
            now=self._clock.now(),
        )
        return False

    async def _give_up(self, data: RunData, busy: Mapping[str, str]) -> None:
        failures = {
            node.node: Failure(
                reason=FailureReason.BUSY,
                description=f"held by {in_words(busy[node.node])}"
                if node.node in busy
                else "other nodes of the deployment did not become free",
            )
            for node in data.deployment.nodes
            if node.active
        }
        waited = self._clock.now() - data.deployment.create_time
        await self._store.end(
            self._lease,
            trigger=DeploymentTrigger.GAVE_UP,
            description=f"{len(busy)} nodes did not become free within {waited:.0f} s",
            failures=failures,
            now=self._clock.now(),
        )


async def cancel_reason(store: DeploymentStore, lease: Lease) -> str:
    """Returns why a deployment is cancelled, as its owner or an administrator said it."""
    deployment = await store.get(lease.deployment_id)
    return deployment.cancel_reason or "cancelled"
