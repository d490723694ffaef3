"""What says who drives a deployment or operation, and that it is to be cancelled.

Each method is one durable transaction. Methods that take a `Lease` raise LeaseLost, and change nothing, when it is not
the present one or the deployment is finished.
"""

from collections.abc import Sequence
from typing import Protocol

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.lease_record import LeaseRecord


class LeaseStore(Protocol):
    """Leases, and cancellations."""

    async def list_leases(self) -> Sequence[LeaseRecord]:
        """Returns the leases of unfinished deployments and operations, the oldest first, consoles, and queue places."""
        ...

    async def claim(
        self, orphans: Sequence[LeaseRecord], *, driver: str, now: float, lease_seconds: float
    ) -> Sequence[Lease]:
        """Takes over those of the deployments whose leases are still as they were seen."""
        ...

    async def free(self, leases: Sequence[LeaseRecord]) -> None:
        """Frees those of the consoles and drops those of the queue places whose leases stand as they were seen."""
        ...

    async def renew(self, leases: Sequence[Lease], *, now: float, lease_seconds: float) -> frozenset[str]:
        """Renews leases and returns the deployments of those that are still held."""
        ...

    async def release(self, leases: Sequence[Lease]) -> None:
        """Gives leases back, so that any deployer may take over at once."""
        ...

    async def cancel_requests(self, deployment_ids: Sequence[str]) -> frozenset[str]:
        """Returns which of these deployments are to be cancelled."""
        ...

    async def request_cancel(self, deployment_id: str, *, reason: str, now: float) -> None:
        """Asks for the end of a deployment. Raises DeploymentNotFound, DeploymentFinished."""
        ...
