"""Implements `ports.queue.AdmissionQueue`: each method one transaction, off the event loop."""

from collections.abc import Mapping, Sequence

from typing_extensions import override

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.ports.queue import AdmissionQueue
from kadeploy_deployer.ports.store_values import Created, KnownDeployment, NewDeployment, Queued
from kadeploy_deployer.store import admission, creation
from kadeploy_deployer.store.role import PATIENCE, Role


class SqlAdmissionQueue(Role, AdmissionQueue):
    """See the port."""

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
