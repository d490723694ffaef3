"""Reading deployments, partitions and nodes. Nothing here writes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, or_, select, union

from kadeploy_deployer.domain.control_errors import OperationNotFound
from kadeploy_deployer.domain.deployment import Deployment, NodeDeployment, StepRecord
from kadeploy_deployer.domain.errors import DeploymentNotFound
from kadeploy_deployer.domain.facts import NO_FACTS, NodeFacts, first_facts
from kadeploy_deployer.domain.operation import AnyOperation, Operation, OperationSpec
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot, ProfileSnapshot
from kadeploy_deployer.domain.states import (
    DECLARATION,
    DeploymentState,
    FailureReason,
    NodeState,
    OperationKind,
    OperationNodeState,
    PartitionState,
)
from kadeploy_deployer.ports.store_values import (
    DeploymentFilter,
    NodeStatus,
    OperationFilter,
    PartitionStatus,
    Position,
    RunData,
)
from kadeploy_deployer.store.codec import loads
from kadeploy_deployer.store.database import chunks
from kadeploy_deployer.store.node_documents import unpack
from kadeploy_deployer.store.tables import (
    deployment_inputs,
    deployment_nodes,
    deployments,
    events,
    node_locks,
    node_records,
    node_steps,
    partition_states,
)

NODE_COLUMNS = (
    deployment_nodes.c.node,
    deployment_nodes.c.device,
    deployment_nodes.c.partition_number,
    deployment_nodes.c.facts,
    deployment_nodes.c.previous_host_keys,
    deployment_nodes.c.state,
    deployment_nodes.c.step,
    deployment_nodes.c.attempt,
    deployment_nodes.c.step_start_time,
    deployment_nodes.c.start_time,
    deployment_nodes.c.end_time,
    deployment_nodes.c.reason,
    deployment_nodes.c.description,
)
"""In the order in which `_node` takes them."""

NODE_STATES: Mapping[bool, Mapping[str, NodeState | None]] = {
    True: {"": None, **{state.value: state for state in PartitionState}},
    False: {"": None, **{state.value: state for state in OperationNodeState}},
}
"""The states of nodes by their words: in deployments (True), and in other operations."""


def get_without_nodes(connection: Connection, deployment_id: str) -> AnyOperation:
    """Returns a deployment or operation alone."""
    inputs = deployment_inputs.c
    whole = inputs.spec.label("whole_spec"), inputs.environment.label("whole_environment")
    query = select(deployments, *whole).outerjoin(deployment_inputs).where(deployments.c.id == deployment_id)
    row = connection.execute(query).one_or_none()
    if row is None or row.kind == DECLARATION:
        raise DeploymentNotFound(deployment_id)
    return _any(row, spec=row.whole_spec or row.spec, environment=row.whole_environment or row.environment)


def get(connection: Connection, deployment_id: str) -> Deployment:
    """Returns a deployment with its nodes."""
    found = find(connection, deployment_id)
    if not isinstance(found, Deployment):
        raise DeploymentNotFound(deployment_id)
    return found


def get_operation(connection: Connection, operation_id: str) -> Operation:
    """Returns an operation that is no deployment, with its nodes. Raises OperationNotFound."""
    try:
        found = find(connection, operation_id)
    except DeploymentNotFound:
        raise OperationNotFound(operation_id) from None
    if not isinstance(found, Operation):
        raise OperationNotFound(operation_id)
    return found


def find(connection: Connection, deployment_id: str, *, secret: str = "") -> AnyOperation:
    """Returns a deployment or operation with its nodes, or raises DeploymentNotFound.

    Without its secret, nodes of which nothing was learned have no tokens.
    """
    alone = get_without_nodes(connection, deployment_id)
    states = NODE_STATES[isinstance(alone, Deployment)]
    records = _step_records(connection, deployment_id)
    query = select(*NODE_COLUMNS).where(deployment_nodes.c.deployment_id == deployment_id)
    rows = connection.execute(query.order_by(deployment_nodes.c.position)).all()
    return replace(alone, nodes=tuple(_node(one, records.get(one[0], ()), secret, states) for one in rows))


def load(connection: Connection, deployment_id: str) -> RunData:
    """Returns a deployment or operation with everything that the runner needs."""
    query = select(deployment_inputs).where(deployment_inputs.c.deployment_id == deployment_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise DeploymentNotFound(deployment_id)
    held = select(node_locks.c.node).where(node_locks.c.deployment_id == deployment_id)
    return RunData(
        operation=find(connection, deployment_id, secret=row.secret),
        snapshots=unpack(row.nodes),
        profiles=loads(Mapping[str, ProfileSnapshot], row.profiles),  # type: ignore[type-abstract]
        locked=frozenset(connection.execute(held).scalars()),
    )


def list_deployments(
    connection: Connection, wanted: DeploymentFilter, *, after: tuple[float, str] | None, limit: int
) -> Sequence[Deployment]:
    """Returns deployments without nodes and long texts, the latest first."""
    rows = _latest(connection, (OperationKind.DEPLOYMENT,), wanted, after=after, limit=limit)
    return [_deployment(row, spec=row.spec, environment=row.environment) for row in rows]


def list_operations(
    connection: Connection, wanted: OperationFilter, *, after: tuple[float, str] | None, limit: int
) -> Sequence[Operation]:
    """Returns operations without nodes and long texts, the latest first."""
    kinds = [kind for kind in wanted.kinds or tuple(OperationKind) if kind is not OperationKind.DEPLOYMENT]
    return [_operation(row, spec=row.spec) for row in _latest(connection, kinds, wanted, after=after, limit=limit)]


def _latest(
    connection: Connection,
    kinds: Sequence[OperationKind],
    wanted: DeploymentFilter | OperationFilter,
    *,
    after: tuple[float, str] | None,
    limit: int,
) -> Iterable[Row[Any]]:
    query = select(deployments).where(deployments.c.kind.in_(kinds))
    if wanted.owner:
        query = query.where(deployments.c.owner == wanted.owner)
    if wanted.states:
        query = query.where(deployments.c.state.in_(wanted.states))
    if wanted.nodes:
        has = and_(deployment_nodes.c.deployment_id == deployments.c.id, _any_of(deployment_nodes.c.node, wanted.nodes))
        query = query.where(exists().where(has))
    if after is not None:
        time, last = after
        same_time = and_(deployments.c.create_time == time, deployments.c.id < last)
        query = query.where(or_(deployments.c.create_time < time, same_time))
    return connection.execute(query.order_by(deployments.c.create_time.desc(), deployments.c.id.desc()).limit(limit))


def position(connection: Connection, deployment_id: str) -> Position:
    """Returns where the events of a deployment are."""
    query = select(deployments.c.state, deployments.c.last_sequence).where(deployments.c.id == deployment_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise DeploymentNotFound(deployment_id)
    first = select(func.min(events.c.sequence)).where(events.c.deployment_id == deployment_id)
    return Position(
        state=DeploymentState(row.state),
        first_sequence=connection.execute(first).scalar_one() or row.last_sequence + 1,
        last_sequence=row.last_sequence,
    )


def list_partitions(
    connection: Connection, nodes: Sequence[str], *, after: tuple[str, str, int] | None, limit: int
) -> Sequence[PartitionStatus]:
    """Returns partition states by node, device, number."""
    node, device, number = partition_states.c.node, partition_states.c.device, partition_states.c.partition_number
    query = select(partition_states, deployments.c.owner, deployments.c.environment).join(deployments)
    if nodes:
        query = query.where(_any_of(node, nodes))
    if after is not None:
        later = or_(
            node > after[0],
            and_(node == after[0], device > after[1]),
            and_(node == after[0], device == after[1], number > after[2]),
        )
        query = query.where(later)
    return [
        PartitionStatus(
            node=row.node,
            device=row.device,
            partition=row.partition_number,
            state=PartitionState(row.state),
            deployment_id=row.deployment_id,
            owner=row.owner,
            environment=loads(EnvironmentSnapshot, row.environment),
            reason=row.reason,
            description=row.description,
            update_time=row.update_time,
        )
        for row in connection.execute(query.order_by(node, device, number).limit(limit))
    ]


def list_nodes(connection: Connection, nodes: Sequence[str], *, after: str | None, limit: int) -> Sequence[NodeStatus]:
    """Returns node states by name."""
    known = union(select(node_records.c.node), select(node_locks.c.node)).subquery("known")
    at_work = and_(
        deployment_nodes.c.deployment_id == node_locks.c.deployment_id, deployment_nodes.c.node == node_locks.c.node
    )
    query = select(
        known.c.node,
        node_records.c.last_deployment_id,
        node_locks.c.deployment_id.label("held_by"),
        node_locks.c.owner,
        node_locks.c.lock_time,
        deployment_nodes.c.step,
        deployment_nodes.c.step_start_time,
    ).select_from(
        known.outerjoin(node_records, node_records.c.node == known.c.node)
        .outerjoin(node_locks, node_locks.c.node == known.c.node)
        .outerjoin(deployment_nodes, at_work)
    )
    if nodes:
        query = query.where(_any_of(known.c.node, nodes))
    if after is not None:
        query = query.where(known.c.node > after)
    return [
        NodeStatus(
            node=row.node,
            held_by=row.held_by or "",
            held_by_user=row.owner or "",
            lock_time=row.lock_time,
            last_deployment_id=row.last_deployment_id or "",
            step=row.step or "",
            step_start_time=row.step_start_time,
        )
        for row in connection.execute(query.order_by(known.c.node).limit(limit))
    ]


def _any_of(column: ColumnElement[str], names: Sequence[str]) -> ColumnElement[bool]:
    return or_(*(column.in_(piece) for piece in chunks(names)))


def _step_records(connection: Connection, deployment_id: str) -> Mapping[str, tuple[StepRecord, ...]]:
    found: dict[str, tuple[StepRecord, ...]] = defaultdict(tuple)
    query = select(node_steps).where(node_steps.c.deployment_id == deployment_id)
    for row in connection.execute(query.order_by(node_steps.c.end_time, node_steps.c.start_time)):
        record = StepRecord(
            step=row.step, seconds=row.end_time - row.start_time, attempts=row.attempts, succeeded=row.succeeded
        )
        found[row.node] = (*found[row.node], record)
    return found


def _node(
    row: Sequence[Any], records: tuple[StepRecord, ...], secret: str, states: Mapping[str, NodeState | None]
) -> NodeDeployment:
    # By position: there may be thousands of rows, and looking their columns up by name takes longer than the query.
    node, device, partition, known, keys, state, step, attempt, step_start, start, end, reason, description = row
    facts = loads(NodeFacts, known) if known else first_facts(secret, node) if secret else NO_FACTS
    if keys:
        facts = replace(facts, previous_host_keys=loads(tuple[str, ...], keys))
    return NodeDeployment(
        node=node,
        state=states[state],
        device=device,
        partition=partition,
        facts=facts,
        step=step,
        attempt=attempt,
        step_start_time=step_start,
        start_time=start,
        end_time=end,
        reason=FailureReason(reason) if reason else None,
        description=description,
        steps=records,
    )


def _any(row: Row[Any], *, spec: str, environment: str) -> AnyOperation:
    if row.kind == OperationKind.DEPLOYMENT:
        return _deployment(row, spec=spec, environment=environment)
    return _operation(row, spec=spec)


def _operation(row: Row[Any], *, spec: str) -> Operation:
    return Operation(
        id=row.id,
        state=DeploymentState(row.state),
        owner=row.owner,
        spec=loads(OperationSpec, spec),
        create_time=row.create_time,
        start_time=row.start_time,
        end_time=row.end_time,
        description=row.description,
        version=row.version,
        driver=row.driver,
        fence=row.fence,
        cancel_requested=row.cancel_requested,
        cancel_reason=row.cancel_reason,
        wait_seconds=row.wait_seconds,
        waited_seconds=row.waited_seconds,
        needs_right=row.needs_right,
        last_sequence=row.last_sequence,
    )


def _deployment(row: Row[Any], *, spec: str, environment: str) -> Deployment:
    return Deployment(
        id=row.id,
        state=DeploymentState(row.state),
        owner=row.owner,
        spec=loads(DeploymentSpec, spec),
        environment=loads(EnvironmentSnapshot, environment),
        create_time=row.create_time,
        start_time=row.start_time,
        end_time=row.end_time,
        description=row.description,
        version=row.version,
        driver=row.driver,
        fence=row.fence,
        cancel_requested=row.cancel_requested,
        cancel_reason=row.cancel_reason,
        wait_seconds=row.wait_seconds,
        waited_seconds=row.waited_seconds,
        needs_right=row.needs_right,
        last_sequence=row.last_sequence,
    )
