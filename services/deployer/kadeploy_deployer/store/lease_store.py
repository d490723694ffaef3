"""Implements `ports.lease_store.LeaseStore`: each method one transaction, off the event loop."""

from collections.abc import Sequence

from typing_extensions import override

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.lease_record import LeaseRecord
from kadeploy_deployer.ports.lease_store import LeaseStore
from kadeploy_deployer.store import lease as lease_rows
from kadeploy_deployer.store.role import Role


class SqlLeaseStore(Role, LeaseStore):
    """See the port."""

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
    async def cancel_requests(self, deployment_ids: Sequence[str]) -> frozenset[str]:
        return await self._database.read(lambda c: lease_rows.cancel_requests(c, deployment_ids))

    @override
    async def request_cancel(self, deployment_id: str, *, reason: str, now: float) -> None:
        await self._database.write(lambda c: lease_rows.request_cancel(c, deployment_id, reason=reason, now=now))
        self._on_commit(deployment_id)
