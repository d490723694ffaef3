"""Creating a deployment and taking its nodes: all or nothing, in one transaction.

Creations pass a turnstile, so a rival sees who holds what and none fails on a unique key. Nodes are locked by one
INSERT … SELECT, whatever their number.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, literal, not_, select, update

from kadeploy_deployer.app.store_values import Created, NewDeployment, Queued
from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import NodesBusy, NoNodeLeft
from kadeploy_deployer.domain.events import DeploymentStateChanged, EventKind, PartitionStateChanged
from kadeploy_deployer.domain.holder import in_words
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger, advance_deployment
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import BusyPolicy, DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.store import turns
from kadeploy_deployer.store.bulk import insert_rows
from kadeploy_deployer.store.codec import dumps
from kadeploy_deployer.store.database import chunks
from kadeploy_deployer.store.event_rows import append_events
from kadeploy_deployer.store.lease import hold
from kadeploy_deployer.store.node_documents import pack
from kadeploy_deployer.store.tables import (
    deployment_inputs,
    deployment_nodes,
    deployments,
    node_locks,
    node_records,
    partition_states,
)

NODE_COLUMNS = ("deployment_id", "node", "position", "device", "partition_number", "state", "reason", "description")


def find_request(connection: Connection, owner: str, request_id: str) -> str | None:
    """Returns the deployment that was made for a request."""
    query = select(deployments.c.id).where(deployments.c.owner == owner, deployments.c.request_id == request_id)
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def holders(connection: Connection, nodes: Sequence[str]) -> Mapping[str, str]:
    """Returns the nodes that are held, with the deployments and operations that hold them, in the order given."""
    held: dict[str, str] = {}
    for names in chunks(nodes):
        holder = func.coalesce(node_locks.c.deployment_id, node_locks.c.operation_id).label("holder")
        query = select(node_locks.c.node, holder).where(node_locks.c.node.in_(names))
        held.update((row.node, row.holder) for row in connection.execute(query))
    return {node: held[node] for node in nodes if node in held}


def drop_expired(connection: Connection, *, now: float) -> None:
    """Frees the nodes of operations whose deployer died: their lease has expired."""
    expired = and_(node_locks.c.operation_id.is_not(None), node_locks.c.lease_expires_at < now)
    connection.execute(delete(node_locks).where(expired))


def create(connection: Connection, new: NewDeployment) -> Created | Queued:
    """Stores a deployment and locks its nodes if they are free, or queues. Errors as in the port."""
    ticket = turns.pass_turnstile(connection)
    if new.request_id:
        earlier = find_request(connection, new.owner, new.request_id)
        if earlier is not None:
            return Created(deployment_id=earlier, lease=None)
    ticket = new.ticket or turns.place_of(connection, new.owner, new.request_id) or ticket
    turn = turns.turn(connection, ticket, now=new.now)
    if not turn.has_come:
        if new.wait_until <= new.now:
            raise turn.refusal()
        turns.keep_place(connection, ticket, owner=new.owner, request_id=new.request_id, now=new.now)
        return Queued(ticket=ticket)
    left_out = {node.name: node.left_out for node in new.nodes if node.left_out is not None}
    drop_expired(connection, now=new.now)
    busy = holders(connection, [node.name for node in new.nodes if node.name not in left_out])
    waits = new.spec.busy_policy is BusyPolicy.WAIT and new.wait_until > new.now
    if busy and new.spec.busy_policy is not BusyPolicy.EXCLUDE and not waits:
        raise NodesBusy(busy)
    if not waits:
        left_out |= {
            node: Failure(reason=FailureReason.BUSY, description=f"held by {in_words(holder)}")
            for node, holder in busy.items()
        }
    if len(left_out) == len(new.nodes):
        raise NoNodeLeft({node: failure.description for node, failure in left_out.items()})
    turns.leave(connection, ticket)
    _insert(connection, new, left_out)
    told: list[tuple[str, EventKind]] = [("", DeploymentStateChanged(state=DeploymentState.WAITING))]
    told += [
        (node, PartitionStateChanged(state=None, reason=failure.reason, description=failure.description))
        for node, failure in left_out.items()
    ]
    append_events(connection, new.id, new.now, told)
    lease = Lease(deployment_id=new.id, driver=new.driver, fence=1)
    if not (busy and waits):
        _lock(connection, lease, now=new.now)
    return Created(deployment_id=new.id, lease=lease)


def acquire(connection: Connection, lease: Lease, *, now: float) -> Mapping[str, str]:
    """Locks the nodes of a waiting deployment, or returns who holds them."""
    hold(connection, lease)
    drop_expired(connection, now=now)
    query = select(deployment_nodes.c.node).where(_of(lease.deployment_id))
    busy = holders(connection, connection.execute(query.order_by(deployment_nodes.c.position)).scalars().all())
    if not busy:
        _lock(connection, lease, now=now)
    return busy


def _insert(connection: Connection, new: NewDeployment, left_out: Mapping[str, Failure]) -> None:
    connection.execute(
        insert(deployments).values(
            id=new.id,
            state=DeploymentState.WAITING,
            waiting_slot=turns.WAITING_SLOT,
            owner=new.owner,
            request_id=new.request_id or None,
            spec=dumps(new.spec),
            environment=dumps(new.environment),
            step="",
            attempt=0,
            version=1,
            driver=new.driver,
            lease_expires_at=new.lease_expires_at,
            fence=1,
            cancel_requested=False,
            cancel_reason="",
            wait_until=new.wait_until,
            last_sequence=0,
            create_time=new.now,
            description="",
        )
    )
    connection.execute(
        insert(deployment_inputs).values(
            deployment_id=new.id,
            secret=new.secret,
            profiles=dumps(new.profiles),
            nodes=pack([node.snapshot for node in new.nodes if node.snapshot and node.name not in left_out]),
        )
    )
    rows = []
    for position, node in enumerate(new.nodes):
        failure = left_out.get(node.name)
        target = (node.snapshot.device, node.snapshot.partition) if node.snapshot else ("", 0)
        became = (
            ("", failure.reason.value, failure.description) if failure else (PartitionState.TO_DEPLOY.value, "", "")
        )
        rows.append((new.id, node.name, position, *target, *became))
    insert_rows(connection, deployment_nodes, NODE_COLUMNS, rows)


def _of(deployment_id: str) -> ColumnElement[bool]:
    """The nodes that take part."""
    return and_(deployment_nodes.c.deployment_id == deployment_id, deployment_nodes.c.state != "")


def _lock(connection: Connection, lease: Lease, *, now: float) -> None:
    """Locks all nodes that take part and lets the deployment begin. A rival's lock raises IntegrityError."""
    of_it = _of(lease.deployment_id)
    state = advance_deployment(DeploymentState.WAITING, DeploymentTrigger.NODES_LOCKED)
    row = hold(connection, lease, state=state, waiting_slot=None, start_time=now)
    source = select(deployment_nodes.c.node, literal(lease.deployment_id), literal(row.owner), literal(now))
    names = ["node", "deployment_id", "owner", "lock_time"]
    # In one order for all rivals, or they would wait for one another.
    connection.execute(insert(node_locks).from_select(names, source.where(of_it).order_by(deployment_nodes.c.node)))
    _remember_nodes(connection, lease.deployment_id, of_it)
    _choose_partitions(connection, lease.deployment_id, of_it, now)
    connection.execute(update(deployment_nodes).where(of_it).values(start_time=now))
    append_events(connection, lease.deployment_id, now, [("", DeploymentStateChanged(state=state))])


def _remember_nodes(connection: Connection, deployment_id: str, of_it: ColumnElement[bool]) -> None:
    """Hands the keys of the systems that run now to the deployment, and notes who took the nodes last."""
    keys = select(node_records.c.host_keys).where(node_records.c.node == deployment_nodes.c.node)
    known = exists().where(node_records.c.node == deployment_nodes.c.node)
    ran_ours = known.where(node_records.c.host_keys.is_not(None))
    connection.execute(
        update(deployment_nodes).where(of_it, ran_ours).values(previous_host_keys=keys.scalar_subquery())
    )
    taken = select(deployment_nodes.c.node).where(of_it)
    connection.execute(
        update(node_records).where(node_records.c.node.in_(taken)).values(last_deployment_id=deployment_id)
    )
    missing = select(deployment_nodes.c.node, literal(deployment_id)).where(of_it, not_(known))
    connection.execute(insert(node_records).from_select(["node", "last_deployment_id"], missing))


def _choose_partitions(connection: Connection, deployment_id: str, of_it: ColumnElement[bool], now: float) -> None:
    """Says of each target that it was chosen, and by whom."""
    same = and_(
        deployment_nodes.c.node == partition_states.c.node,
        deployment_nodes.c.device == partition_states.c.device,
        deployment_nodes.c.partition_number == partition_states.c.partition_number,
    )
    values = {
        "deployment_id": deployment_id,
        "state": PartitionState.TO_DEPLOY,
        "reason": "",
        "description": "",
        "update_time": now,
    }
    connection.execute(update(partition_states).where(exists().where(same, of_it)).values(values))
    missing = select(
        deployment_nodes.c.node,
        deployment_nodes.c.device,
        deployment_nodes.c.partition_number,
        *(literal(value) for value in values.values()),
    ).where(of_it, not_(exists().where(same)))
    names = ["node", "device", "partition_number", *values]
    connection.execute(insert(partition_states).from_select(names, missing))
