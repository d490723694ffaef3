"""What creating deployments and operations, and waiting for their nodes, wants of the database.

Each method is one durable transaction. Methods that take a `Lease` raise LeaseLost, and change nothing, when it is not
the present one or the deployment is finished.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.ports.store_values import Created, KnownDeployment, NewDeployment, Queued


class AdmissionQueue(Protocol):
    """Who gets which nodes, in the order of arrival."""

    async def find_request(self, owner: str, request_id: str) -> KnownDeployment | None:
        """Returns the deployment or operation that was made for a request, if there is one."""
        ...

    async def create(self, new: NewDeployment) -> Created | Queued:
        """Stores a deployment or operation and, if its nodes are free, locks them: waiting and deploying in one go.

        A request whose nodes are all free, and claimed by nobody before it, never waits. One that wants to wait for
        nodes becomes the deployment that waits, or, while another one does, gets a place in the queue or keeps the one
        that it has. Either claims its nodes: whoever comes later and wants one of them stands behind it.

        Raises:
            InvalidDeployment: its request_id was given to another request.
            AnotherDeploymentWaiting: its nodes are claimed by others before it, and it does not want to wait.
            NodesBusy: with the policy "fail", or "wait" without time to wait.
            NoNodeLeft: with the policy "exclude", every node of a deployment is busy.
        """
        ...

    async def is_next(self, ticket: int) -> bool:
        """Returns whether a request in the queue may begin, or be the one that waits for its nodes."""
        ...

    async def leave_queue(self, ticket: int) -> None:
        """Gives a place in the queue up. One that is not there any more is nobody's concern."""
        ...

    async def acquire(self, lease: Lease, *, now: float) -> Mapping[str, str]:
        """Locks the nodes of a waiting deployment, or changes nothing and returns who holds them: node → deployment."""
        ...

    async def note_wait(self, lease: Lease, *, waited_seconds: float) -> Mapping[str, str]:
        """Notes how long a deployment has waited for its nodes, and returns who holds them: node → deployment."""
        ...

    async def leave_out(self, lease: Lease, failures: Mapping[str, Failure], *, now: float) -> None:
        """Leaves nodes out of a deployment that waits."""
        ...

    async def holders(self, nodes: Sequence[str]) -> Mapping[str, str]:
        """Returns which of the nodes are held, and by which deployment."""
        ...
