"""The store as the use cases want it: every method one transaction, off the event loop."""

from collections.abc import Callable, Mapping, Sequence

from kadeploy_deployer.domain.deployment import Deployment, Lease
from kadeploy_deployer.domain.events import Event
from kadeploy_deployer.domain.lease_record import LeaseRecord
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger, PartitionTrigger
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import PartitionState
from kadeploy_deployer.ports.store_values import (
    Created,
    DeploymentFilter,
    Interval,
    KnownDeployment,
    NewDeployment,
    NodeStatus,
    Note,
    OutputNote,
    PartitionStatus,
    Position,
    Queued,
    RunData,
    Statistics,
    StoredOutput,
)
from kadeploy_deployer.store import creation, event_rows, history, progress, queries, turns
from kadeploy_deployer.store import lease as lease_rows
from kadeploy_deployer.store import notes as note_rows
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.statistics import statistics

PATIENCE = 60.0
"""How long a journal waits for a database that does not answer: what was done to nodes must not be forgotten."""


class SqlDeploymentStore:
    """Implements `ports.deployment_store.DeploymentStore`.

    Args:
        database: where.
        told: called with the deployment's id after each commit that added to its story.
    """

    def __init__(self, database: Database, *, told: Callable[[str], None] = lambda _: None) -> None:
        self._database = database
        self._told = told

    async def find_request(self, owner: str, request_id: str) -> KnownDeployment | None:
        """As in the port."""
        return await self._database.read(lambda c: creation.find_request(c, owner, request_id))

    async def create(self, new: NewDeployment) -> Created | Queued:
        """As in the port."""
        return await self._database.write(lambda c: creation.create(c, new), grows=True)

    async def is_next(self, ticket: int) -> bool:
        """As in the port."""
        return await self._database.read(lambda c: turns.turn(c, ticket).has_come)

    async def leave_queue(self, ticket: int) -> None:
        """As in the port."""
        await self._database.write(lambda c: turns.leave(c, ticket))

    async def acquire(self, lease: Lease, *, now: float) -> Mapping[str, str]:
        """As in the port."""
        busy = await self._database.write(lambda c: creation.acquire(c, lease, now=now))
        self._told(lease.deployment_id)
        return busy

    async def note_wait(self, lease: Lease, *, waited_seconds: float) -> Mapping[str, str]:
        """As in the port."""
        return await self._database.write(lambda c: creation.note_wait(c, lease, waited_seconds=waited_seconds))

    async def leave_out(self, lease: Lease, failures: Mapping[str, Failure], *, now: float) -> None:
        """As in the port."""
        await self._database.write(lambda c: creation.leave_out(c, lease, failures, now=now), patience=PATIENCE)
        self._told(lease.deployment_id)

    async def holders(self, nodes: Sequence[str]) -> Mapping[str, str]:
        """As in the port."""
        return await self._database.read(lambda c: creation.holders(c, nodes))

    async def load(self, deployment_id: str) -> RunData:
        """As in the port."""
        return await self._database.read(lambda c: queries.load(c, deployment_id))

    async def enter_step(
        self,
        lease: Lease,
        *,
        step: str,
        attempt: int,
        nodes: Mapping[str, PartitionState],
        state: PartitionState,
        now: float,
    ) -> None:
        """As in the port."""
        await self._database.write(
            lambda c: progress.enter_step(c, lease, step=step, attempt=attempt, nodes=nodes, state=state, now=now),
            patience=PATIENCE,
            grows=True,
        )
        self._told(lease.deployment_id)

    async def finish_attempt(
        self,
        lease: Lease,
        *,
        step: str,
        attempt: int,
        done: Sequence[str],
        failed: Mapping[str, Failure],
        again: Mapping[str, Failure],
        deployed: bool,
        now: float,
        ended: Mapping[str, float] | None = None,
    ) -> None:
        """As in the port."""
        await self._database.write(
            lambda c: progress.finish_attempt(
                c,
                lease,
                step=step,
                attempt=attempt,
                done=done,
                failed=failed,
                again=again,
                deployed=deployed,
                now=now,
                ended=ended or {},
            ),
            patience=PATIENCE,
        )
        self._told(lease.deployment_id)

    async def record(self, lease: Lease, notes: Sequence[Note], *, now: float) -> None:
        """As in the port."""
        # Outputs are large and can wait for room; what a deployment needs to end is small.
        grows = any(isinstance(note, OutputNote) for note in notes)
        await self._database.write(lambda c: note_rows.record(c, lease, notes, now=now), patience=PATIENCE, grows=grows)
        self._told(lease.deployment_id)

    async def end(
        self,
        lease: Lease,
        *,
        trigger: DeploymentTrigger,
        description: str,
        failures: Mapping[str, Failure],
        node_trigger: PartitionTrigger = PartitionTrigger.FAIL,
        now: float,
    ) -> None:
        """As in the port."""
        await self._database.write(
            lambda c: progress.end(
                c,
                lease,
                trigger=trigger,
                description=description,
                failures=failures,
                node_trigger=node_trigger,
                now=now,
            ),
            patience=PATIENCE,
        )
        self._told(lease.deployment_id)

    async def fail_nodes(
        self, lease: Lease, *, failures: Mapping[str, Failure], trigger: PartitionTrigger, now: float
    ) -> None:
        """As in the port."""
        await self._database.write(
            lambda c: progress.fail_nodes(c, lease, failures=failures, trigger=trigger, now=now), patience=PATIENCE
        )
        self._told(lease.deployment_id)

    async def list_leases(self) -> Sequence[LeaseRecord]:
        """As in the port."""
        return await self._database.read(lease_rows.list_leases)

    async def claim(
        self, orphans: Sequence[LeaseRecord], *, driver: str, now: float, lease_seconds: float
    ) -> Sequence[Lease]:
        """As in the port."""
        return await self._database.write(
            lambda c: lease_rows.claim(c, orphans, driver=driver, now=now, lease_seconds=lease_seconds)
        )

    async def free(self, leases: Sequence[LeaseRecord]) -> None:
        """As in the port."""
        await self._database.write(lambda c: lease_rows.free(c, leases))

    async def renew(self, leases: Sequence[Lease], *, now: float, lease_seconds: float) -> frozenset[str]:
        """As in the port."""
        return await self._database.write(lambda c: lease_rows.renew(c, leases, now=now, lease_seconds=lease_seconds))

    async def release(self, leases: Sequence[Lease]) -> None:
        """As in the port."""
        await self._database.write(lambda c: lease_rows.release(c, leases))

    async def prune_one(self, *, before: float) -> bool:
        """As in the port."""
        return await self._database.write(lambda c: history.prune_one(c, before=before))

    async def cancel_requests(self, deployment_ids: Sequence[str]) -> frozenset[str]:
        """As in the port."""
        return await self._database.read(lambda c: lease_rows.cancel_requests(c, deployment_ids))

    async def request_cancel(self, deployment_id: str, *, reason: str, now: float) -> None:
        """As in the port."""
        await self._database.write(lambda c: lease_rows.request_cancel(c, deployment_id, reason=reason, now=now))
        self._told(deployment_id)

    async def get(self, deployment_id: str) -> Deployment:
        """As in the port."""
        return await self._database.read(lambda c: queries.get(c, deployment_id))

    async def list_deployments(
        self, wanted: DeploymentFilter, *, after: tuple[float, str] | None, limit: int
    ) -> Sequence[Deployment]:
        """As in the port."""
        return await self._database.read(lambda c: queries.list_deployments(c, wanted, after=after, limit=limit))

    async def position(self, deployment_id: str) -> Position:
        """As in the port."""
        return await self._database.read(lambda c: queries.position(c, deployment_id))

    async def events(self, deployment_id: str, *, after: int, limit: int) -> Sequence[Event]:
        """As in the port."""
        return await self._database.read(lambda c: event_rows.read_events(c, deployment_id, after=after, limit=limit))

    async def outputs(self, deployment_id: str, node: str, step: str) -> Sequence[StoredOutput]:
        """As in the port."""
        return await self._database.read(lambda c: note_rows.read_outputs(c, deployment_id, node, step))

    async def list_partitions(
        self, nodes: Sequence[str], *, after: tuple[str, str, int] | None, limit: int
    ) -> Sequence[PartitionStatus]:
        """As in the port."""
        return await self._database.read(lambda c: queries.list_partitions(c, nodes, after=after, limit=limit))

    async def list_nodes(self, nodes: Sequence[str], *, after: str | None, limit: int) -> Sequence[NodeStatus]:
        """As in the port."""
        return await self._database.read(lambda c: queries.list_nodes(c, nodes, after=after, limit=limit))

    async def statistics(self, interval: Interval, nodes: Sequence[str]) -> Statistics:
        """As in the port."""
        return await self._database.read(lambda c: statistics(c, interval, nodes))
