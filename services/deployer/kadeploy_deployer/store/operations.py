"""Locks and console slots of operations, and what is known of the systems on nodes."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, and_, exists, insert, select, update
from typing_extensions import override

from kadeploy_deployer.domain.error_record import ErrorRecord
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot
from kadeploy_deployer.domain.states import PartitionState
from kadeploy_deployer.ports.operation_store import (
    DeployedSystem,
    KnownRequest,
    NewOperation,
    NodeKnowledge,
    NodeNote,
    OperationStore,
    Renewal,
    RequestName,
)
from kadeploy_deployer.store import operation_leases, operation_requests
from kadeploy_deployer.store.codec import dumps, loads
from kadeploy_deployer.store.creation import holders
from kadeploy_deployer.store.database import Database, chunks
from kadeploy_deployer.store.tables import (
    console_slots,
    deployment_inputs,
    deployment_nodes,
    node_locks,
    node_records,
    partition_states,
)


def lock_nodes(connection: Connection, operation: NewOperation, nodes: Sequence[str]) -> Mapping[str, str]:
    """Locks the free nodes. A rival's lock raises IntegrityError, and the transaction is run again."""
    busy = holders(connection, nodes)
    # In one order for all rivals, or they would wait for one another.
    rows = [
        {
            "node": node,
            "operation_id": operation.id,
            "owner": operation.owner,
            "lock_time": operation.now,
        }
        for node in sorted(nodes)
        if node not in busy
    ]
    if rows:
        operation_leases.take(connection, operation)
        connection.execute(insert(node_locks), rows)
    return busy


def take_console(connection: Connection, operation: NewOperation, node: str) -> str:
    """Takes the slot of a console, or returns whose it is."""
    slot = console_slots.c.node == node
    owner: str | None = connection.execute(select(console_slots.c.owner).where(slot)).scalar_one_or_none()
    if owner is not None:
        return owner
    operation_leases.take(connection, operation)
    connection.execute(
        insert(console_slots).values(
            node=node,
            operation_id=operation.id,
            owner=operation.owner,
            start_time=operation.now,
        )
    )
    return ""


def renew(connection: Connection, operation_id: str) -> Renewal:
    """Renews the lease of an operation, if it is still held."""
    held = operation_leases.renew(connection, operation_id)
    return Renewal(held=held, stop_asked=operation_requests.stop_asked(connection, operation_id))


def release(connection: Connection, operation_id: str) -> None:
    """Gives everything back."""
    operation_leases.release(connection, operation_id)
    operation_requests.close(connection, operation_id)


def knowledge(connection: Connection, nodes: Sequence[str]) -> Mapping[str, NodeKnowledge]:
    """Returns what is known of the systems of nodes."""
    # Most nodes share a deployment: its long texts are read once.
    inputs: dict[str, tuple[DeploymentSpec, EnvironmentSnapshot]] = {}
    keys: dict[str, tuple[str, ...]] = {}
    systems: dict[str, list[DeployedSystem]] = defaultdict(list)
    for names in chunks(nodes):
        records = select(node_records.c.node, node_records.c.host_keys).where(node_records.c.node.in_(names))
        for row in connection.execute(records.where(node_records.c.host_keys.is_not(None))):
            keys[row.node] = loads(tuple[str, ...], row.host_keys)
        took_part = and_(
            deployment_nodes.c.deployment_id == partition_states.c.deployment_id,
            deployment_nodes.c.node == partition_states.c.node,
        )
        query = (
            select(partition_states, deployment_nodes.c.facts)
            .join(deployment_nodes, took_part)
            .where(partition_states.c.node.in_(names), partition_states.c.state == PartitionState.DEPLOYED)
            .order_by(partition_states.c.node, partition_states.c.device, partition_states.c.partition_number)
        )
        rows = connection.execute(query).all()
        inputs |= _inputs(connection, {row.deployment_id for row in rows} - inputs.keys())
        for row in rows:
            spec, environment = inputs[row.deployment_id]
            system = DeployedSystem(
                node=row.node,
                device=row.device,
                partition=row.partition_number,
                deployment_id=row.deployment_id,
                update_time=row.update_time,
                environment=environment,
                spec=spec,
                facts=loads(NodeFacts, row.facts) if row.facts else NodeFacts(deployment_token="", system_token=""),
            )
            systems[row.node].append(system)
    return {node: NodeKnowledge(host_keys=keys.get(node, ()), systems=tuple(systems[node])) for node in nodes}


def _inputs(
    connection: Connection, deployment_ids: Collection[str]
) -> dict[str, tuple[DeploymentSpec, EnvironmentSnapshot]]:
    """Returns what was asked for in deployments, and the environments as they stood."""
    columns = deployment_inputs.c
    query = select(columns.deployment_id, columns.spec, columns.environment)
    return {
        row.deployment_id: (loads(DeploymentSpec, row.spec), loads(EnvironmentSnapshot, row.environment))
        for row in connection.execute(query.where(columns.deployment_id.in_(deployment_ids)))
    }


def note_running(connection: Connection, operation_id: str, node: str, host_keys: Sequence[str]) -> None:
    """Notes what runs on a node that is held."""
    held = exists().where(node_locks.c.node == node, node_locks.c.operation_id == operation_id)
    change = update(node_records).where(node_records.c.node == node, held)
    connection.execute(change.values(host_keys=dumps(tuple(host_keys))))


class SqlOperationStore(OperationStore):
    """Implements `ports.operation_store.OperationStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def lock_nodes(self, operation: NewOperation, nodes: Sequence[str]) -> Mapping[str, str]:
        return await self._database.write(lambda c: lock_nodes(c, operation, nodes), grows=True)

    @override
    async def take_console(self, operation: NewOperation, node: str) -> str:
        return await self._database.write(lambda c: take_console(c, operation, node), grows=True)

    @override
    async def renew(self, operation_id: str) -> Renewal:
        return await self._database.write(lambda c: renew(c, operation_id))

    @override
    async def release(self, operation_id: str) -> None:
        await self._database.write(lambda c: release(c, operation_id))

    @override
    async def open_request(
        self, operation: NewOperation, request: RequestName, nodes: Sequence[str], *, refused: Mapping[str, ErrorRecord]
    ) -> Mapping[str, ErrorRecord | None]:
        return await self._database.write(
            lambda c: operation_requests.open_request(c, operation, request, nodes, refused), grows=True
        )

    @override
    async def known_request(self, owner: str, request_id: str) -> KnownRequest | None:
        return await self._database.read(lambda c: operation_requests.known_request(c, owner, request_id))

    @override
    async def note_nodes(self, operation_id: str, notes: Sequence[NodeNote]) -> bool:
        return await self._database.write(lambda c: operation_requests.note_nodes(c, operation_id, notes))

    @override
    async def marks(self, operation_id: str) -> Mapping[str, str]:
        return await self._database.read(lambda c: operation_requests.marks(c, operation_id))

    @override
    async def ask_stop(self, owner: str, request_id: str) -> bool:
        return await self._database.write(lambda c: operation_requests.ask_stop(c, owner, request_id))

    @override
    async def forget_requests(self, *, before: float) -> bool:
        return await self._database.write(lambda c: operation_requests.forget(c, before=before))

    @override
    async def knowledge(self, nodes: Sequence[str]) -> Mapping[str, NodeKnowledge]:
        return await self._database.read(lambda c: knowledge(c, nodes))

    @override
    async def note_running(self, operation_id: str, node: str, host_keys: Sequence[str]) -> None:
        await self._database.write(lambda c: note_running(c, operation_id, node, host_keys))
