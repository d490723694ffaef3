"""Implements `ports.journal_store.JournalStore`: each method one transaction, off the event loop."""

from collections.abc import Sequence

from typing_extensions import override

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.ports.journal_entries import JournalEntry
from kadeploy_deployer.ports.journal_store import JournalStore
from kadeploy_deployer.ports.store_values import Ending, RunData
from kadeploy_deployer.store import journal, queries
from kadeploy_deployer.store.role import PATIENCE, Role


class SqlJournalStore(Role, JournalStore):
    """See the port."""

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
    async def end(self, lease: Lease, ending: Ending, *, now: float) -> None:
        await self._database.write(lambda c: journal.end(c, lease, ending, now=now), patience=PATIENCE)
        self._on_commit(lease.deployment_id)
