"""Nodes and their partitions move on together: compare-and-set on the state that the driver believes them in.

Callers hold the lease and tell the story; nothing here does.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, select, update

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import LeaseLost
from kadeploy_deployer.domain.events import EventKind, PartitionStateChanged
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.lifecycle import PartitionTrigger, advance_partition
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import PartitionState
from kadeploy_deployer.store.codec import dumps, loads
from kadeploy_deployer.store.database import chunks
from kadeploy_deployer.store.tables import deployment_nodes, node_records, partition_states

Told = list[tuple[str, EventKind]]
"""What is to be told of nodes, in order."""


def move_nodes(
    connection: Connection,
    lease: Lease,
    nodes: Sequence[str],
    old: PartitionState,
    values: Mapping[str, object],
) -> None:
    """Moves nodes on from the state that we believe them in, or raises: then somebody else wrote."""
    for names in chunks(nodes):
        change = update(deployment_nodes).where(
            deployment_nodes.c.deployment_id == lease.deployment_id,
            deployment_nodes.c.node.in_(names),
            deployment_nodes.c.state == old,
        )
        if connection.execute(change.values(values)).rowcount != len(names):
            raise LeaseLost(lease.deployment_id)


def move_partitions(
    connection: Connection, lease: Lease, nodes: Sequence[str], now: float, *, state: PartitionState
) -> None:
    """Says of the partitions of nodes what they have become."""
    for names in chunks(nodes):
        change = update(partition_states).where(
            partition_states.c.deployment_id == lease.deployment_id, partition_states.c.node.in_(names)
        )
        connection.execute(change.values(state=state, update_time=now))


def deploy(connection: Connection, lease: Lease, nodes: Sequence[str], now: float) -> Told:
    """Says of nodes that they run the new system, and keeps its host keys for the next deployment."""
    new = advance_partition(PartitionState.REBOOTING, PartitionTrigger.SEEN)
    move_nodes(connection, lease, nodes, PartitionState.REBOOTING, {"state": new, "end_time": now})
    move_partitions(connection, lease, nodes, now, state=new)
    keys = [
        {"the_node": node, "keys": dumps(loads(NodeFacts, facts).host_keys if facts else ())}
        for node, facts in rows_of(connection, lease, nodes, deployment_nodes.c.facts)
    ]
    if keys:
        change = update(node_records).where(node_records.c.node == bindparam("the_node"))
        connection.execute(change.values(host_keys=bindparam("keys")), keys)
    return [(node, PartitionStateChanged(state=new)) for node in nodes]


def fail(
    connection: Connection, lease: Lease, failures: Mapping[str, Failure], trigger: PartitionTrigger, now: float
) -> Told:
    """Moves nodes to error, each from the state that its row has."""
    told: Told = []
    rows = []
    for node, state in rows_of(connection, lease, list(failures), deployment_nodes.c.state):
        failure = failures[node]
        new = advance_partition(PartitionState(state), trigger)
        rows.append(
            {
                "the_deployment": lease.deployment_id,
                "the_node": node,
                "new": new,
                "why": failure.reason,
                "text": failure.description,
                "now": now,
            }
        )
        told.append((node, PartitionStateChanged(state=new, reason=failure.reason, description=failure.description)))
    if not rows:
        return told
    values: dict[str, Any] = {"state": bindparam("new"), "reason": bindparam("why"), "description": bindparam("text")}
    connection.execute(
        update(deployment_nodes)
        .where(
            deployment_nodes.c.deployment_id == bindparam("the_deployment"),
            deployment_nodes.c.node == bindparam("the_node"),
        )
        .values(end_time=bindparam("now"), **values),
        rows,
    )
    connection.execute(
        update(partition_states)
        .where(
            # A deployment that never got its nodes wrote no partition: there is no such row then.
            partition_states.c.deployment_id == bindparam("the_deployment"),
            partition_states.c.node == bindparam("the_node"),
        )
        .values(update_time=bindparam("now"), **values),
        rows,
    )
    return told


def rows_of(
    connection: Connection, lease: Lease, nodes: Sequence[str], column: ColumnElement[Any]
) -> Iterator[tuple[str, Any]]:
    """Yields nodes of the deployment, each with what stands in one column."""
    for names in chunks(nodes):
        query = select(deployment_nodes.c.node, column).where(
            deployment_nodes.c.deployment_id == lease.deployment_id, deployment_nodes.c.node.in_(names)
        )
        yield from connection.execute(query).all()
