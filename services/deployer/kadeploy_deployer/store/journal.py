"""The journal: what nodes are about to do, and what became of them. Every write goes through `lease.hold`.

A node's row, its partition's row, its lock, the events and the journal change together or not at all. Nodes that move
alike move in one statement, however many they are.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, select, update

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import LeaseLost
from kadeploy_deployer.domain.events import (
    DeploymentStateChanged,
    EventKind,
    NodeStateChanged,
    PartitionStateChanged,
    Remark,
    StepEnded,
    StepStarted,
)
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.lifecycle import advance_deployment
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import DeploymentState, FailureReason, NodeState, OperationKind, PartitionState
from kadeploy_deployer.domain.transition import NodePosition, Transition, fail
from kadeploy_deployer.ports.journal_entries import FactsLearned, JournalEntry, NodeReleased, OutputEntry, RemarkEntry
from kadeploy_deployer.ports.store_values import Ending
from kadeploy_deployer.store.bulk import insert_rows
from kadeploy_deployer.store.codec import dumps
from kadeploy_deployer.store.database import chunks
from kadeploy_deployer.store.event_rows import NewEvent, append_events
from kadeploy_deployer.store.lease import hold
from kadeploy_deployer.store.outputs import append_output
from kadeploy_deployer.store.queries import NODE_STATES
from kadeploy_deployer.store.tables import deployment_nodes, node_locks, node_records, node_steps, partition_states


def write(connection: Connection, lease: Lease, entries: Sequence[JournalEntry], *, now: float) -> None:
    """Stores entries in their order. Raises LeaseLost, and changes nothing, if a node is not where it should be."""
    transitions = [entry for entry in entries if isinstance(entry, Transition)]
    # A deployment whose nodes go on is not one of which its drivers die.
    hold(connection, lease, **({"dead_drivers": 0} if transitions else {}))
    # Before the transitions: what ends a node may have learned more.
    _store_facts(connection, lease, {entry.node: entry.facts for entry in entries if isinstance(entry, FactsLearned)})
    _apply(connection, lease, transitions, now)
    released = [entry.node for entry in entries if isinstance(entry, NodeReleased)]
    _unlock(connection, lease, released)
    for entry in entries:
        if isinstance(entry, OutputEntry):
            append_output(connection, lease.deployment_id, entry)
    events = [event for entry in entries for event in _events(entry, now)]
    append_events(connection, lease.deployment_id, events)


def end(connection: Connection, lease: Lease, ending: Ending, *, now: float) -> None:
    """Ends a deployment and frees its nodes. The row is left without a driver: no lease opens it again."""
    row = hold(connection, lease)
    state = advance_deployment(DeploymentState(row.state), ending.trigger)
    positions = _positions(connection, lease, list(ending.failures), NODE_STATES[row.kind == OperationKind.DEPLOYMENT])
    transitions = [
        fail(node, position, ending.failures[node], trigger=ending.node_trigger) for node, position in positions.items()
    ]
    _apply(connection, lease, transitions, now)
    events = [event for transition in transitions for event in _events(transition, now)]
    events.append((now, "", DeploymentStateChanged(state=state, description=ending.description)))
    append_events(connection, lease.deployment_id, events)
    connection.execute(delete(node_locks).where(node_locks.c.deployment_id == lease.deployment_id))
    hold(
        connection,
        lease,
        state=state,
        waiting_slot=None,
        end_time=now,
        description=ending.description,
        driver="",
        lease_expires_at=0.0,
    )


def _apply(connection: Connection, lease: Lease, transitions: Sequence[Transition], now: float) -> None:
    _record_steps(connection, lease, transitions)
    alike: dict[_Move, list[str]] = defaultdict(list)
    for one in transitions:
        alike[_Move(before=one.before, after=one.after, failure=one.failure)].append(one.node)
    for move, nodes in alike.items():
        _move(connection, lease, nodes, move, now)
    _store_facts(connection, lease, {one.node: one.facts for one in transitions if one.facts is not None})
    done = [one for one in transitions if one.after.succeeded]
    _keep_host_keys(connection, done)
    _unlock(connection, lease, [one.node for one in done])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """What many nodes do alike."""

    before: NodePosition
    after: NodePosition
    failure: Failure | None


def _move(connection: Connection, lease: Lease, nodes: Sequence[str], move: _Move, now: float) -> None:
    """Moves nodes from the position that the driver believes them in, or raises: then somebody else wrote."""
    before, after = move.before, move.after
    values: dict[str, Any] = {"state": after.state, "step": after.step, "attempt": after.attempt}
    if after.active and after.attempt == 1:
        values["step_start_time"] = now
    partition: dict[str, Any] = {"state": after.state, "update_time": now}
    if not after.active:
        values["end_time"] = now
    if move.failure is not None:
        why = {"reason": move.failure.reason, "description": move.failure.description}
        values |= why
        partition |= why
    for names in chunks(nodes):
        change = update(deployment_nodes).where(
            deployment_nodes.c.deployment_id == lease.deployment_id,
            deployment_nodes.c.node.in_(names),
            deployment_nodes.c.state == before.state,
            deployment_nodes.c.step == before.step,
            deployment_nodes.c.attempt == before.attempt,
        )
        if connection.execute(change.values(values)).rowcount != len(names):
            raise LeaseLost(lease.deployment_id)
        if after.state is not before.state and isinstance(after.state, PartitionState):
            # A deployment that never got its nodes wrote no partition: there is no such row then.
            mine = update(partition_states).where(
                partition_states.c.deployment_id == lease.deployment_id, partition_states.c.node.in_(names)
            )
            connection.execute(mine.values(partition))


def _record_steps(connection: Connection, lease: Lease, transitions: Sequence[Transition]) -> None:
    """Keeps how long each node took for its step, all its attempts together."""
    over = [(one.node, one.ended) for one in transitions if one.ended is not None and one.ended.final]
    started = dict(rows_of(connection, lease, [node for node, _ in over], deployment_nodes.c.step_start_time))
    rows = sorted(
        (
            node,
            ended.step,
            min(started.get(node) or ended.time, ended.time),
            ended.time,
            ended.attempt,
            not ended.failure,
        )
        for node, ended in over
    )
    columns = ("node", "step", "start_time", "end_time", "attempts", "succeeded")
    insert_rows(connection, node_steps, columns, rows, same={"deployment_id": lease.deployment_id})


def _store_facts(connection: Connection, lease: Lease, facts: Mapping[str, NodeFacts]) -> None:
    if not facts:
        return
    change = update(deployment_nodes).where(
        deployment_nodes.c.deployment_id == lease.deployment_id,
        deployment_nodes.c.node == bindparam("the_node"),
    )
    rows = [{"the_node": node, "text": dumps(one)} for node, one in facts.items()]
    connection.execute(change.values(facts=bindparam("text")), rows)


def _keep_host_keys(connection: Connection, done: Sequence[Transition]) -> None:
    """Keeps the keys of the systems that run now, for the next deployment of their nodes.

    An operation that brought a node into no system of ours leaves what is known as it is.
    """
    keys = {one.node: one.facts.host_keys if one.facts else () for one in done}
    deployed = {one.node for one in done if one.after.state is PartitionState.DEPLOYED}
    rows = [{"the_node": node, "keys": dumps(one)} for node, one in keys.items() if one or node in deployed]
    if rows:
        change = update(node_records).where(node_records.c.node == bindparam("the_node"))
        connection.execute(change.values(host_keys=bindparam("keys")), rows)


def _unlock(connection: Connection, lease: Lease, nodes: Sequence[str]) -> None:
    for names in chunks(sorted(nodes)):
        mine = node_locks.c.deployment_id == lease.deployment_id
        connection.execute(delete(node_locks).where(mine, node_locks.c.node.in_(names)))


def _events(entry: JournalEntry, now: float) -> Iterator[NewEvent]:
    if isinstance(entry, RemarkEntry):
        yield now, entry.node, Remark(text=entry.text)
    if not isinstance(entry, Transition):
        return
    node, failure, ended = entry.node, entry.failure, entry.ended
    if ended is not None:
        text = ended.failure.description if ended.failure else ""
        yield ended.time, node, StepEnded(step=ended.step, succeeded=ended.failure is None, description=text)
    if entry.after.state is not entry.before.state:
        reason, text = (failure.reason, failure.description) if failure else (None, "")
        yield now, node, state_changed(entry.after.state, reason=reason, description=text)
    if entry.enters_step:
        yield now, node, StepStarted(step=entry.after.step, attempt=entry.after.attempt)


def state_changed(state: NodeState, *, reason: FailureReason | None, description: str) -> EventKind:
    """Returns the event of a node that is in another state."""
    if isinstance(state, PartitionState):
        return PartitionStateChanged(state=state, reason=reason, description=description)
    return NodeStateChanged(state=state, reason=reason, description=description)


def _positions(
    connection: Connection, lease: Lease, nodes: Sequence[str], states: Mapping[str, NodeState | None]
) -> Mapping[str, NodePosition]:
    found = {}
    for names in chunks(nodes):
        query = select(
            deployment_nodes.c.node, deployment_nodes.c.state, deployment_nodes.c.step, deployment_nodes.c.attempt
        ).where(deployment_nodes.c.deployment_id == lease.deployment_id, deployment_nodes.c.node.in_(names))
        for row in connection.execute(query):
            if (state := states[row.state]) is not None:
                found[row.node] = NodePosition(state=state, step=row.step, attempt=row.attempt)
    return found


def rows_of(
    connection: Connection, lease: Lease, nodes: Sequence[str], column: ColumnElement[Any]
) -> Iterator[tuple[str, Any]]:
    """Yields nodes of the deployment, each with the value of one column."""
    for names in chunks(nodes):
        query = select(deployment_nodes.c.node, column).where(
            deployment_nodes.c.deployment_id == lease.deployment_id, deployment_nodes.c.node.in_(names)
        )
        yield from connection.execute(query).all()
