"""The store as the use cases want it: every method one transaction, off the event loop."""

from collections.abc import Callable, Mapping, Sequence

from typing_extensions import override

from kadeploy_deployer.domain.deployment import Deployment, Lease
from kadeploy_deployer.domain.events import Event
from kadeploy_deployer.domain.lease_record import LeaseRecord
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger, PartitionTrigger
from kadeploy_deployer.domain.operation import AnyOperation, Operation
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.journal_entries import JournalEntry
from kadeploy_deployer.ports.node_knowledge import NodeKnowledge
from kadeploy_deployer.ports.store_values import (
    Created,
    DeploymentFilter,
    Interval,
    KnownDeployment,
    NewDeployment,
    NodeStatus,
    OperationFilter,
    PartitionStatus,
    Position,
    Queued,
    RunData,
    Statistics,
    StoredOutput,
)
from kadeploy_deployer.store import admission, creation, event_rows, history, journal, outputs, queries
from kadeploy_deployer.store import lease as lease_rows
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.knowledge import knowledge
from kadeploy_deployer.store.statistics import statistics

PATIENCE = 60.0
"""How long a journal waits for a database that does not answer: what was done to nodes must not be forgotten."""


class SqlDeploymentStore(DeploymentStore):
    """Implements `ports.deployment_store.DeploymentStore`.

    Args:
        database: where.
        on_commit: called with the deployment's id after each commit that added to its events.
    """

    def __init__(self, database: Database, *, on_commit: Callable[[str], None] = lambda _: None) -> None:
        self._database = database
        self._on_commit = on_commit

    @override
    async def find_request(self, owner: str, request_id: str) -> KnownDeployment | None:
        return await self._database.read(lambda c: creation.find_request(c, owner, request_id))

    @override
    async def create(self, new: NewDeployment) -> Created | Queued:
        return await self._database.write(lambda c: creation.create(c, new), grows=True)

    @override
    async def is_next(self, ticket: int) -> bool:
        return await self._database.read(lambda c: admission.is_next(c, ticket))

    @override
    async def leave_queue(self, ticket: int) -> None:
        await self._database.write(lambda c: admission.leave(c, ticket))

    @override
    async def acquire(self, lease: Lease, *, now: float) -> Mapping[str, str]:
        busy = await self._database.write(lambda c: creation.acquire(c, lease, now=now))
        self._on_commit(lease.deployment_id)
        return busy

    @override
    async def note_wait(self, lease: Lease, *, waited_seconds: float) -> Mapping[str, str]:
        return await self._database.write(lambda c: creation.note_wait(c, lease, waited_seconds=waited_seconds))

    @override
    async def leave_out(self, lease: Lease, failures: Mapping[str, Failure], *, now: float) -> None:
        await self._database.write(lambda c: creation.leave_out(c, lease, failures, now=now), patience=PATIENCE)
        self._on_commit(lease.deployment_id)

    @override
    async def holders(self, nodes: Sequence[str]) -> Mapping[str, str]:
        return await self._database.read(lambda c: creation.holders(c, nodes))

    @override
    async def load(self, deployment_id: str) -> RunData:
        return await self._database.read(lambda c: queries.load(c, deployment_id))

    @override
    async def write(self, lease: Lease, entries: Sequence[JournalEntry], *, now: float) -> None:
        await self._database.write(
            lambda c: journal.write(c, lease, entries, now=now),
            patience=PATIENCE,
            grows=any(entry.grows for entry in entries),
        )
        self._on_commit(lease.deployment_id)

    @override
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
        await self._database.write(
            lambda c: journal.end(
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
        self._on_commit(lease.deployment_id)

    @override
    async def list_leases(self) -> Sequence[LeaseRecord]:
        return await self._database.read(lease_rows.list_leases)

    @override
    async def claim(
        self, orphans: Sequence[LeaseRecord], *, driver: str, now: float, lease_seconds: float
    ) -> Sequence[Lease]:
        return await self._database.write(
            lambda c: lease_rows.claim(c, orphans, driver=driver, now=now, lease_seconds=lease_seconds)
        )

    @override
    async def free(self, leases: Sequence[LeaseRecord]) -> None:
        await self._database.write(lambda c: lease_rows.free(c, leases))

    @override
    async def renew(self, leases: Sequence[Lease], *, now: float, lease_seconds: float) -> frozenset[str]:
        return await self._database.write(lambda c: lease_rows.renew(c, leases, now=now, lease_seconds=lease_seconds))

    @override
    async def release(self, leases: Sequence[Lease]) -> None:
        await self._database.write(lambda c: lease_rows.release(c, leases))

    @override
    async def prune_one(self, *, before: float) -> bool:
        return await self._database.write(lambda c: history.prune_one(c, before=before))

    @override
    async def drop_operations(self, *, before: float) -> bool:
        return await self._database.write(lambda c: history.drop_operations(c, before=before))

    @override
    async def cancel_requests(self, deployment_ids: Sequence[str]) -> frozenset[str]:
        return await self._database.read(lambda c: lease_rows.cancel_requests(c, deployment_ids))

    @override
    async def request_cancel(self, deployment_id: str, *, reason: str, now: float) -> None:
        await self._database.write(lambda c: lease_rows.request_cancel(c, deployment_id, reason=reason, now=now))
        self._on_commit(deployment_id)

    @override
    async def get(self, deployment_id: str) -> Deployment:
        return await self._database.read(lambda c: queries.get(c, deployment_id))

    @override
    async def list_deployments(
        self, wanted: DeploymentFilter, *, after: tuple[float, str] | None, limit: int
    ) -> Sequence[Deployment]:
        return await self._database.read(lambda c: queries.list_deployments(c, wanted, after=after, limit=limit))

    @override
    async def find(self, operation_id: str) -> AnyOperation:
        return await self._database.read(lambda c: queries.find(c, operation_id))

    @override
    async def get_operation(self, operation_id: str) -> Operation:
        return await self._database.read(lambda c: queries.get_operation(c, operation_id))

    @override
    async def list_operations(
        self, wanted: OperationFilter, *, after: tuple[float, str] | None, limit: int
    ) -> Sequence[Operation]:
        return await self._database.read(lambda c: queries.list_operations(c, wanted, after=after, limit=limit))

    @override
    async def knowledge(self, nodes: Sequence[str]) -> Mapping[str, NodeKnowledge]:
        return await self._database.read(lambda c: knowledge(c, nodes))

    @override
    async def position(self, deployment_id: str) -> Position:
        return await self._database.read(lambda c: queries.position(c, deployment_id))

    @override
    async def events(self, deployment_id: str, *, after: int, limit: int) -> Sequence[Event]:
        return await self._database.read(lambda c: event_rows.read_events(c, deployment_id, after=after, limit=limit))

    @override
    async def outputs(self, deployment_id: str, node: str, step: str) -> Sequence[StoredOutput]:
        return await self._database.read(lambda c: outputs.read_outputs(c, deployment_id, node, step))

    @override
    async def list_partitions(
        self, nodes: Sequence[str], *, after: tuple[str, str, int] | None, limit: int
    ) -> Sequence[PartitionStatus]:
        return await self._database.read(lambda c: queries.list_partitions(c, nodes, after=after, limit=limit))

    @override
    async def list_nodes(self, nodes: Sequence[str], *, after: str | None, limit: int) -> Sequence[NodeStatus]:
        return await self._database.read(lambda c: queries.list_nodes(c, nodes, after=after, limit=limit))

    @override
    async def statistics(self, interval: Interval, nodes: Sequence[str]) -> Statistics:
        return await self._database.read(lambda c: statistics(c, interval, nodes))
