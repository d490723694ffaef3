"""Implements `ports.history_store.HistoryStore`: each method one transaction, off the event loop."""

from typing_extensions import override

from kadeploy_deployer.ports.history_store import HistoryStore
from kadeploy_deployer.store import history
from kadeploy_deployer.store.role import Role


class SqlHistoryStore(Role, HistoryStore):
    """See the port."""

    @override
    async def prune_one(self, *, before: float) -> bool:
        return await self._database.write(lambda c: history.prune_one(c, before=before))

    @override
    async def drop_operations(self, *, before: float) -> bool:
        return await self._database.write(lambda c: history.drop_operations(c, before=before))
