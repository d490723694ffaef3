"""What is read of deployments, operations, nodes and partitions. Nothing here writes.

Each method is one transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from kadeploy_deployer.domain.deployment import Deployment
from kadeploy_deployer.domain.events import Event
from kadeploy_deployer.domain.operation import AnyOperation, Operation
from kadeploy_deployer.ports.node_knowledge import NodeKnowledge
from kadeploy_deployer.ports.store_values import (
    DeploymentFilter,
    Interval,
    NodeStatus,
    OperationFilter,
    PartitionStatus,
    Position,
    Statistics,
    StoredOutput,
)


class ReadingStore(Protocol):
    """All that can be asked for."""

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
