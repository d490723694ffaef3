"""What the use cases want of the database. `store/` implements it; each method is one durable transaction.

Methods that take a `Lease` raise LeaseLost, and change nothing, when it is not the present one or the deployment is
finished.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from kadeploy_deployer.domain.deployment import Deployment, Lease
from kadeploy_deployer.domain.events import Event
from kadeploy_deployer.domain.lease_record import LeaseRecord
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger, PartitionTrigger
from kadeploy_deployer.domain.operation import AnyOperation, Operation
from kadeploy_deployer.domain.outcome import Failure
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


class DeploymentStore(Protocol):
    """Everything durable."""

    # --- creating and acquiring ---

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

    # --- running ---

    async def load(self, deployment_id: str) -> RunData:
        """Returns all that the runner needs. Raises DeploymentNotFound."""
        ...

    async def write(self, lease: Lease, entries: Sequence[JournalEntry], *, now: float) -> None:
        """Writes to the journal: transitions of nodes, locks given up, outputs, remarks; all of them or none.

        A node that is not where its transition begins means that somebody else wrote: LeaseLost.
        """
        ...

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
        """Ends a deployment: these nodes fail, all are free again, nothing changes any more."""
        ...

    # --- leases ---

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

    async def prune_one(self, *, before: float) -> bool:
        """Drops events and outputs of one deployment that ended before a time; returns whether there was one."""
        ...

    async def drop_operations(self, *, before: float) -> bool:
        """Drops some operations, not deployments, that ended before a time; returns whether there were any."""
        ...

    # --- reading ---

    async def get(self, deployment_id: str) -> Deployment:
        """Returns a deployment with its nodes. Raises DeploymentNotFound."""
        ...

    async def get_operation(self, operation_id: str) -> Operation:
        """Returns an operation that is no deployment, with its nodes. Raises OperationNotFound."""
        ...

    async def find(self, operation_id: str) -> AnyOperation:
        """Returns a deployment or another operation, with its nodes. Raises DeploymentNotFound."""
        ...

    async def list_operations(
        self, wanted: OperationFilter, *, after: tuple[float, str] | None, limit: int
    ) -> Sequence[Operation]:
        """Returns operations that are no deployments, without nodes, as `list_deployments`."""
        ...

    async def knowledge(self, nodes: Sequence[str]) -> Mapping[str, NodeKnowledge]:
        """Returns what is known of the systems of each of the nodes."""
        ...

    async def list_deployments(
        self, wanted: DeploymentFilter, *, after: tuple[float, str] | None, limit: int
    ) -> Sequence[Deployment]:
        """Returns deployments without nodes, the latest first, beginning after (create time, id)."""
        ...

    async def position(self, deployment_id: str) -> Position:
        """Returns where the events are. Raises DeploymentNotFound."""
        ...

    async def events(self, deployment_id: str, *, after: int, limit: int) -> Sequence[Event]:
        """Returns stored events in order, beginning after a sequence."""
        ...

    async def outputs(self, deployment_id: str, node: str, step: str) -> Sequence[StoredOutput]:
        """Returns what steps printed on a node; of all steps when `step` is empty."""
        ...

    async def list_partitions(
        self, nodes: Sequence[str], *, after: tuple[str, str, int] | None, limit: int
    ) -> Sequence[PartitionStatus]:
        """Returns partition states by node, device, number, of all nodes when none is named."""
        ...

    async def list_nodes(self, nodes: Sequence[str], *, after: str | None, limit: int) -> Sequence[NodeStatus]:
        """Returns node states by name, of all that were ever deployed or are held when none is named."""
        ...

    async def statistics(self, interval: Interval, nodes: Sequence[str]) -> Statistics:
        """Returns what was counted of the deployments created in an interval, on all nodes when none is named."""
        ...
