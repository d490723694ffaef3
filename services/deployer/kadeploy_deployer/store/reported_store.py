"""The store, which tells observers what has become durable: the one place where the log and the metrics hook in."""

from collections.abc import Callable, Sequence

from typing_extensions import override

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.lease_record import LeaseRecord
from kadeploy_deployer.domain.transition import Transition
from kadeploy_deployer.ports.activity import ActivityObserver
from kadeploy_deployer.ports.journal_entries import JournalEntry
from kadeploy_deployer.ports.store_values import Ending, RunData
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore


class ReportedStore(SqlDeploymentStore):
    """An SqlDeploymentStore with observers."""

    def __init__(
        self, database: Database, *, observers: Sequence[ActivityObserver], on_commit: Callable[[str], None]
    ) -> None:
        """Takes observers besides what an SqlDeploymentStore takes."""
        super().__init__(database, on_commit=on_commit)
        self._observers = tuple(observers)

    @override
    async def load(self, deployment_id: str) -> RunData:
        data = await super().load(deployment_id)
        for each in self._observers:
            each.began(data.operation)
        return data

    @override
    async def write(self, lease: Lease, entries: Sequence[JournalEntry], *, now: float) -> None:
        await super().write(lease, entries, now=now)
        for entry in entries:
            if isinstance(entry, Transition):
                for each in self._observers:
                    each.moved(lease.deployment_id, entry)

    @override
    async def end(self, lease: Lease, ending: Ending, *, now: float) -> None:
        await super().end(lease, ending, now=now)
        for each in self._observers:
            each.ended(lease.deployment_id, ending.trigger, ending.description, now=now)

    @override
    async def list_leases(self) -> Sequence[LeaseRecord]:
        found = await super().list_leases()
        for each in self._observers:
            each.seen(found)
        return found

    @override
    async def release(self, leases: Sequence[Lease]) -> None:
        await super().release(leases)
        for lease in leases:
            for each in self._observers:
                each.left(lease.deployment_id)
