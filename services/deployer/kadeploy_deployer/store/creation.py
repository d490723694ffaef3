"""Creating a deployment and taking its nodes: all or nothing, in one transaction.

Creations pass one after the other, so a rival sees who holds what and none fails on a unique key. Nodes are locked by
one INSERT … SELECT, whatever their number.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, and_, exists, insert, literal, select, update

from kadeploy_deployer.domain.deployment import Lease, NodeDeployment
from kadeploy_deployer.domain.errors import NodesBusy, NoNodeLeft, check_fingerprint
from kadeploy_deployer.domain.events import DeploymentStateChanged, NodeStateChanged, PartitionStateChanged
from kadeploy_deployer.domain.holder import in_words
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger, advance_deployment
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import (
    BusyPolicy,
    DeploymentState,
    FailureReason,
    NodeState,
    OperationKind,
    OperationNodeState,
    PartitionState,
)
from kadeploy_deployer.ports.store_values import Created, KnownDeployment, NewDeployment, Queued
from kadeploy_deployer.store import admission
from kadeploy_deployer.store.bulk import insert_rows, put_rows
from kadeploy_deployer.store.codec import dumps
from kadeploy_deployer.store.database import CHUNK, chunks
from kadeploy_deployer.store.event_rows import NewEvent, append_events
from kadeploy_deployer.store.lease import hold
from kadeploy_deployer.store.node_documents import pack
from kadeploy_deployer.store.queries import get_without_nodes
from kadeploy_deployer.store.tables import (
    deployment_inputs,
    deployment_nodes,
    deployments,
    node_locks,
    node_records,
    partition_states,
)

_BEGUN = advance_deployment(DeploymentState.WAITING, DeploymentTrigger.NODES_LOCKED)


def find_request(connection: Connection, owner: str, request_id: str) -> KnownDeployment | None:
    """Returns the deployment that was made for a request."""
    query = select(deployments.c.id, deployments.c.fingerprint)
    row = connection.execute(
        query.where(deployments.c.owner == owner, deployments.c.request_id == request_id)
    ).one_or_none()
    return None if row is None else KnownDeployment(deployment_id=row.id, fingerprint=row.fingerprint)


def holders(connection: Connection, nodes: Sequence[str]) -> Mapping[str, str]:
    """Returns the nodes that are held, with the deployments and operations that hold them, in the order given."""
    query = select(node_locks.c.node, node_locks.c.deployment_id)
    # Many names take longer to ask for than all locks to read, of which there are no more than nodes.
    if len(nodes) <= CHUNK:
        query = query.where(node_locks.c.node.in_(nodes))
    held = dict(connection.execute(query).all())
    return {node: held[node] for node in nodes if node in held}


def create(connection: Connection, new: NewDeployment) -> Created | Queued:
    """Stores a deployment or operation and locks its nodes if they are free, or queues. Errors as in the port."""
    ticket = admission.enter_admission(connection)
    if new.request_id:
        earlier = find_request(connection, new.owner, new.request_id)
        if earlier is not None:
            check_fingerprint(earlier.fingerprint, new.fingerprint)
            return Created(deployment_id=earlier.deployment_id, lease=None)
    ticket = new.ticket or admission.place_of(connection, new) or ticket
    left_out = {node.name: node.left_out for node in new.nodes if node.left_out is not None}
    wanted = [node.name for node in new.nodes if node.name not in left_out]
    locked = holders(connection, wanted)
    busy = {node: f"held by {in_words(holder)}" for node, holder in locked.items()}
    ahead = admission.ahead(connection, ticket, wanted)
    busy |= {node: f"claimed by {who}" for node, who in ahead.claims.items() if node not in busy}
    policy = new.spec.busy_policy
    if busy and policy is not BusyPolicy.EXCLUDE:
        if policy is BusyPolicy.FAIL or new.wait_seconds <= 0:
            raise NodesBusy(locked) if locked else ahead.refusal()
        if not ahead.is_next_to_wait:
            admission.keep_place(connection, ticket, new, wanted)
            return Queued(ticket=ticket)
    if policy is BusyPolicy.EXCLUDE:
        left_out |= {node: _busy(new, node, text) for node, text in busy.items()}
    if len(left_out) == len(new.nodes) and new.kind is OperationKind.DEPLOYMENT:
        raise NoNodeLeft({node: failure.description for node, failure in left_out.items()})
    admission.leave(connection, ticket)
    begins = not busy or policy is BusyPolicy.EXCLUDE
    nodes = _nodes(new, left_out, start_time=new.now if begins else None)
    _insert(connection, new, nodes, waits=not begins)
    waiting: NewEvent = (new.now, "", DeploymentStateChanged(state=DeploymentState.WAITING))
    # An operation that is no deployment never waits.
    first = [waiting] if new.kind is OperationKind.DEPLOYMENT else []
    append_events(connection, new.id, [*first, *_left_out_events(left_out, new.now, new.kind)])
    lease = Lease(deployment_id=new.id, driver=new.driver, fence=1)
    if begins:
        _lock(connection, lease, now=new.now)
    # What was just written is not read again: that would take as long as writing it.
    deployment = replace(get_without_nodes(connection, new.id), nodes=nodes)
    return Created(deployment_id=new.id, lease=lease, deployment=deployment)


def acquire(connection: Connection, lease: Lease, *, now: float) -> Mapping[str, str]:
    """Locks the nodes of a waiting deployment, or returns who holds them."""
    hold(connection, lease)
    busy = _holders_of(connection, lease.deployment_id)
    if not busy:
        connection.execute(update(deployment_nodes).where(_of(lease.deployment_id)).values(start_time=now))
        _lock(connection, lease, now=now)
    return busy


def note_wait(connection: Connection, lease: Lease, *, waited_seconds: float) -> Mapping[str, str]:
    """Notes how long a deployment has waited, and returns who holds its nodes."""
    hold(connection, lease, waited_seconds=waited_seconds)
    return _holders_of(connection, lease.deployment_id)


def leave_out(connection: Connection, lease: Lease, failures: Mapping[str, Failure], *, now: float) -> None:
    """Leaves nodes out of a deployment that waits."""
    row = hold(connection, lease)
    for failure in dict.fromkeys(failures.values()):
        values = {"state": "", "reason": failure.reason, "description": failure.description}
        for names in chunks([node for node, one in failures.items() if one == failure]):
            mine = and_(_of(lease.deployment_id), deployment_nodes.c.node.in_(names))
            connection.execute(update(deployment_nodes).where(mine).values(values))
    append_events(connection, lease.deployment_id, _left_out_events(failures, now, row.kind))


def _holders_of(connection: Connection, deployment_id: str) -> Mapping[str, str]:
    query = select(deployment_nodes.c.node).where(_of(deployment_id)).order_by(deployment_nodes.c.position)
    return holders(connection, connection.execute(query).scalars().all())


def _busy(new: NewDeployment, node: str, text: str) -> Failure:
    # What is said of a node of an operation stands alone, in an answer of its own.
    description = text if new.kind is OperationKind.DEPLOYMENT else f"{node} is {text}"
    return Failure(reason=FailureReason.BUSY, description=description)


def _left_out_events(failures: Mapping[str, Failure], now: float, kind: str) -> list[NewEvent]:
    changed = PartitionStateChanged if kind == OperationKind.DEPLOYMENT else NodeStateChanged
    return [
        (now, node, changed(state=None, reason=failure.reason, description=failure.description))
        for node, failure in failures.items()
    ]


def _nodes(
    new: NewDeployment, left_out: Mapping[str, Failure], *, start_time: float | None
) -> tuple[NodeDeployment, ...]:
    """Returns the nodes of a new deployment, in its order; those that take part start at `start_time`."""
    nodes = []
    is_deployment = new.kind is OperationKind.DEPLOYMENT
    first: NodeState = PartitionState.TO_DEPLOY if is_deployment else OperationNodeState.TO_DO
    for node in new.nodes:
        failure = left_out.get(node.name)
        nodes.append(
            NodeDeployment(
                node=node.name,
                state=None if failure else first,
                device=node.snapshot.device if node.snapshot else "",
                partition=node.snapshot.partition if node.snapshot else 0,
                start_time=None if failure else start_time,
                reason=failure.reason if failure else None,
                description=failure.description if failure else "",
            )
        )
    return tuple(nodes)


def _insert(connection: Connection, new: NewDeployment, nodes: Sequence[NodeDeployment], *, waits: bool) -> None:
    # One that begins at once takes no place from the one that waits.
    connection.execute(
        insert(deployments).values(
            id=new.id,
            kind=new.kind,
            state=DeploymentState.WAITING if waits else _BEGUN,
            waiting_slot=admission.WAITING_SLOT if waits else None,
            owner=new.owner,
            needs_right=new.needs_right,
            request_id=new.request_id or None,
            fingerprint=new.fingerprint,
            spec=dumps(new.spec.listed),
            environment="" if new.environment is None else dumps(new.environment.listed),
            version=1,
            driver=new.driver,
            lease_expires_at=new.now + new.lease_seconds,
            lease_seconds=new.lease_seconds,
            renewals=0,
            fence=1,
            cancel_requested=False,
            cancel_reason="",
            wait_seconds=new.wait_seconds,
            waited_seconds=0.0,
            last_sequence=0,
            create_time=new.now,
            description="",
        )
    )
    taken = {node.node for node in nodes if node.included}
    connection.execute(
        insert(deployment_inputs).values(
            deployment_id=new.id,
            secret=new.secret,
            profiles=dumps(new.profiles),
            nodes=pack([node.snapshot for node in new.nodes if node.snapshot and node.name in taken]),
            spec=dumps(new.spec),
            environment="" if new.environment is None else dumps(new.environment),
        )
    )
    _insert_nodes(connection, new.id, nodes)


def _insert_nodes(connection: Connection, deployment_id: str, nodes: Sequence[NodeDeployment]) -> None:
    # All but the name is the same for most nodes: it travels once for all of them.
    names = ("deployment_id", "device", "partition_number", "state", "reason", "description", "start_time")
    alike: dict[tuple[object, ...], list[tuple[str, int]]] = defaultdict(list)
    for position, node in enumerate(nodes):
        written = (node.state or "", node.reason or "", node.description, node.start_time)
        alike[deployment_id, node.device, node.partition, *written].append((node.node, position))
    for values, rows in alike.items():
        same = dict(zip(names, values, strict=True))
        insert_rows(connection, deployment_nodes, ("node", "position"), sorted(rows), same=same)


def _of(deployment_id: str) -> ColumnElement[bool]:
    """The nodes that take part."""
    return and_(deployment_nodes.c.deployment_id == deployment_id, deployment_nodes.c.state != "")


def _lock(connection: Connection, lease: Lease, *, now: float) -> None:
    """Locks all nodes that take part and lets the work begin. A rival's lock raises IntegrityError."""
    of_it = _of(lease.deployment_id)
    row = hold(connection, lease, state=_BEGUN, waiting_slot=None, start_time=now)
    source = select(deployment_nodes.c.node, literal(lease.deployment_id), literal(row.owner), literal(now))
    names = ["node", "deployment_id", "owner", "lock_time"]
    # In one order for all rivals, or they would wait for one another.
    connection.execute(insert(node_locks).from_select(names, source.where(of_it).order_by(deployment_nodes.c.node)))
    if row.kind == OperationKind.DEPLOYMENT:
        _remember_nodes(connection, lease.deployment_id, of_it)
        _choose_partitions(connection, lease.deployment_id, of_it, now)
    append_events(connection, lease.deployment_id, [(now, "", DeploymentStateChanged(state=_BEGUN))])


def _remember_nodes(connection: Connection, deployment_id: str, of_it: ColumnElement[bool]) -> None:
    """Hands the keys of the systems that run now to the deployment, and notes who took the nodes last."""
    keys = select(node_records.c.host_keys).where(node_records.c.node == deployment_nodes.c.node)
    ran_ours = exists().where(node_records.c.node == deployment_nodes.c.node, node_records.c.host_keys.is_not(None))
    connection.execute(
        update(deployment_nodes).where(of_it, ran_ours).values(previous_host_keys=keys.scalar_subquery())
    )
    taken = select(deployment_nodes.c.node, literal(deployment_id)).where(of_it).order_by(deployment_nodes.c.node)
    put_rows(connection, node_records, ["node", "last_deployment_id"], taken)


def _choose_partitions(connection: Connection, deployment_id: str, of_it: ColumnElement[bool], now: float) -> None:
    """Says of each target that it was chosen, and by whom."""
    values = {
        "deployment_id": deployment_id,
        "state": PartitionState.TO_DEPLOY,
        "reason": "",
        "description": "",
        "update_time": now,
    }
    target = (deployment_nodes.c.node, deployment_nodes.c.device, deployment_nodes.c.partition_number)
    chosen = select(*target, *(literal(value) for value in values.values())).where(of_it)
    put_rows(
        connection,
        partition_states,
        ["node", "device", "partition_number", *values],
        chosen.order_by(deployment_nodes.c.node),
    )
