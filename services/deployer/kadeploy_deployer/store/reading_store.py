"""Implements `ports.reading_store.ReadingStore`: each method one transaction, off the event loop."""

from collections.abc import Mapping, Sequence

from typing_extensions import override

from kadeploy_deployer.domain.deployment import Deployment
from kadeploy_deployer.domain.events import Event
from kadeploy_deployer.domain.operation import AnyOperation, Operation
from kadeploy_deployer.ports.node_knowledge import NodeKnowledge
from kadeploy_deployer.ports.reading_store import ReadingStore
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
from kadeploy_deployer.store import event_rows, outputs, queries
from kadeploy_deployer.store.knowledge import knowledge
from kadeploy_deployer.store.role import Role
from kadeploy_deployer.store.statistics import statistics


class SqlReadingStore(Role, ReadingStore):
    """See the port."""

    @override
    async def get(self, deployment_id: str) -> Deployment:
        return await self._database.read(lambda c: queries.get(c, deployment_id))

    @override
    async def get_operation(self, operation_id: str) -> Operation:
        return await self._database.read(lambda c: queries.get_operation(c, operation_id))

    @override
    async def find(self, operation_id: str) -> AnyOperation:
        return await self._database.read(lambda c: queries.find(c, operation_id))

    @override
    async def list_operations(
        self, wanted: OperationFilter, *, after: tuple[float, str] | None, limit: int
    ) -> Sequence[Operation]:
        return await self._database.read(lambda c: queries.list_operations(c, wanted, after=after, limit=limit))

    @override
    async def knowledge(self, nodes: Sequence[str]) -> Mapping[str, NodeKnowledge]:
        return await self._database.read(lambda c: knowledge(c, nodes))

    @override
    async def list_deployments(
        self, wanted: DeploymentFilter, *, after: tuple[float, str] | None, limit: int
    ) -> Sequence[Deployment]:
        return await self._database.read(lambda c: queries.list_deployments(c, wanted, after=after, limit=limit))

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
