"""A deployment that waits for its nodes: until it has them, its time is over, or it is cancelled."""

import asyncio
from collections.abc import Mapping, Sequence

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.holder import in_words
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger, PartitionTrigger
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.engine.racing import Cancelled, run_unless_cancelled
from kadeploy_deployer.engine.rights import RightsGuard
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.recorder import Recorder
from kadeploy_deployer.ports.store_values import Ending, RunData
from kadeploy_edge.errors import DomainError

WAIT_POLL = 1.0
ASK_SECONDS = 30.0
"""How often rights are asked for while the nodes are busy: a user without one holds up all others in vain."""
MOST_NAMED = 10


class Waiting:
    """Waits for the nodes of one deployment.

    Args:
        lease: of the deployment.
        store: where it is.
        clock: time.
        recorder: where remarks go.
        cancelled: set when the deployment is to be cancelled.
        guard: asked before the nodes are taken, and now and then meanwhile.
    """

    def __init__(
        self,
        *,
        lease: Lease,
        store: DeploymentStore,
        clock: Clock,
        recorder: Recorder,
        cancelled: asyncio.Event,
        guard: RightsGuard,
    ) -> None:
        self._lease = lease
        self._store = store
        self._clock = clock
        self._recorder = recorder
        self._cancelled = cancelled
        self._guard = guard
        self._asked_at = float("-inf")
        self._unanswered = ""

    async def acquire(self, data: RunData) -> bool:
        """Waits for the nodes; ends the deployment and returns False when it does not get them.

        A node on which the user has no right any more is left out; the others are waited for.
        """
        deployment = data.operation
        # What was waited before a take-over counts, and no clock that jumps.
        begin = self._clock.monotonic() - deployment.waited_seconds
        wanted = [node.node for node in deployment.nodes if node.active]
        shown: Mapping[str, str] = {}
        while not self._cancelled.is_set():
            waited = self._clock.monotonic() - begin
            busy = await self._store.note_wait(self._lease, waited_seconds=waited)
            if not busy or self._clock.monotonic() - self._asked_at >= ASK_SECONDS:
                try:
                    lost = await run_unless_cancelled(self._cancelled, self._ask(wanted))
                except Cancelled:
                    break
                wanted = [node for node in wanted if node not in lost]
                if not wanted:
                    await self._end_without_rights(lost)
                    return False
                if lost:
                    await self._store.leave_out(self._lease, lost, now=self._clock.now())
                    continue
            if not busy and not self._unanswered:
                busy = await self._store.acquire(self._lease, now=self._clock.now())
                if not busy:
                    return True
            if busy != shown:
                await self._show_holders(busy)
                shown = busy
            if waited >= deployment.wait_seconds:
                await self._give_up(wanted, busy, waited)
                return False
            await self._clock.sleep(WAIT_POLL)
        await self._end_cancelled(wanted)
        return False

    async def _ask(self, nodes: Sequence[str]) -> Mapping[str, Failure]:
        """Returns the nodes that are lost, none while the inventory does not answer."""
        self._asked_at = self._clock.monotonic()
        try:
            lost = await self._guard.ask(nodes)
        except DomainError as error:
            if not self._unanswered:
                await self._recorder.remark("", f"the right on the nodes cannot be checked: {error.message}")
            self._unanswered = error.message
            return {}
        self._unanswered = ""
        return lost

    async def _show_holders(self, busy: Mapping[str, str]) -> None:
        held = ", ".join(f"{node} ({in_words(holder)})" for node, holder in list(busy.items())[:MOST_NAMED])
        if held:
            await self._recorder.remark("", f"waiting for {len(busy)} nodes: {held}")

    async def _end_cancelled(self, nodes: Sequence[str]) -> None:
        reason = await cancel_reason(self._store, self._lease)
        await self._store.end(
            self._lease,
            Ending(
                trigger=DeploymentTrigger.CANCELLED,
                description=reason,
                failures=dict.fromkeys(nodes, Failure(reason=FailureReason.CANCELLED, description=reason)),
                node_trigger=PartitionTrigger.CANCEL,
            ),
            now=self._clock.now(),
        )

    async def _end_without_rights(self, lost: Mapping[str, Failure]) -> None:
        text = f"the right on the nodes ended while they were waited for: {next(iter(lost.values())).description}"
        await self._store.end(
            self._lease,
            Ending(trigger=DeploymentTrigger.GAVE_UP, description=text, failures=lost),
            now=self._clock.now(),
        )

    async def _give_up(self, nodes: Sequence[str], busy: Mapping[str, str], waited: float) -> None:
        if self._unanswered:
            reason, others = (
                FailureReason.INTERNAL,
                f"nobody could say whether the right still stands: {self._unanswered}",
            )
        else:
            reason, others = FailureReason.BUSY, "other nodes of the deployment did not become free"
        failures = {
            node: Failure(reason=FailureReason.BUSY, description=f"held by {in_words(busy[node])}")
            if node in busy
            else Failure(reason=reason, description=others)
            for node in nodes
        }
        text = f"{len(busy)} nodes did not become free within {waited:.0f} s" if busy else others
        await self._store.end(
            self._lease,
            Ending(trigger=DeploymentTrigger.GAVE_UP, description=text, failures=failures),
            now=self._clock.now(),
        )


async def cancel_reason(store: DeploymentStore, lease: Lease) -> str:
    """Returns why a deployment is cancelled, as its owner or an administrator said it."""
    found = await store.find(lease.deployment_id)
    return found.cancel_reason or "cancelled"
