"""The journal: what is about to be done to nodes, and what became of it. All changes go through `lease.hold`.

A node's row, its partition's row, the story and the journal change together or not at all.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from kadeploy_deployer.app.store_values import DoneNote
from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import LeaseLost
from kadeploy_deployer.domain.events import (
    DeploymentStateChanged,
    EventKind,
    PartitionStateChanged,
    StepEnded,
    StepStarted,
)
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.lifecycle import (
    ENTERS,
    DeploymentTrigger,
    PartitionTrigger,
    advance_deployment,
    advance_partition,
)
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import DeploymentState, PartitionState
from kadeploy_deployer.store.codec import dumps, loads
from kadeploy_deployer.store.database import chunks
from kadeploy_deployer.store.event_rows import append_events
from kadeploy_deployer.store.lease import hold
from kadeploy_deployer.store.tables import (
    deployment_nodes,
    node_locks,
    node_records,
    node_steps,
    partition_states,
)

_Told = list[tuple[str, EventKind]]


def enter_step(
    connection: Connection,
    lease: Lease,
    *,
    step: str,
    attempt: int,
    nodes: Mapping[str, PartitionState],
    state: PartitionState,
    now: float,
) -> None:
    """Journals that nodes enter a step."""
    hold(connection, lease, step=step, attempt=attempt)
    told: _Told = []
    by_state: dict[PartitionState, list[str]] = defaultdict(list)
    for node, old in nodes.items():
        by_state[old].append(node)
    for old, names in by_state.items():
        new = advance_partition(old, ENTERS[state])
        values = {"state": new, "step": step, "attempt": attempt, "step_done": False}
        if attempt == 1:
            values["step_start_time"] = now
        _update_nodes(connection, lease, names, old, values)
        if new is not old:
            _update_partitions(connection, lease, names, now, state=new)
            told += [(node, PartitionStateChanged(state=new)) for node in names]
    told += [(node, StepStarted(step=step, attempt=attempt)) for node in nodes]
    append_events(connection, lease.deployment_id, now, told)


def finish_attempt(
    connection: Connection,
    lease: Lease,
    *,
    step: str,
    attempt: int,
    done: Sequence[str],
    failed: Mapping[str, Failure],
    again: Mapping[str, Failure],
    deployed: bool,
    now: float,
    ended: Mapping[str, float],
) -> None:
    """Journals how an attempt at a step ended. Nodes that were noted as done before are done already."""
    hold(connection, lease)
    unknown = _not_done_yet(connection, lease, done)
    times = {node: ended.get(node, now) for node in (*unknown, *failed)}
    _note_done(connection, lease, step=step, attempt=attempt, times={node: times[node] for node in unknown})
    told: _Told = [
        (node, StepEnded(step=step, succeeded=False, description=failure.description))
        for node, failure in (*failed.items(), *again.items())
    ]
    _record_steps(
        connection,
        lease,
        step=step,
        attempt=attempt,
        succeeded=False,
        times={node: times[node] for node in failed},
    )
    if deployed:
        told += _deploy(connection, lease, done, now)
    told += _fail(connection, lease, failed, PartitionTrigger.FAIL, now)
    theirs = {node: ended[node] for node in (*failed, *again) if node in ended}
    append_events(connection, lease.deployment_id, now, told, times=theirs)


def note_done(connection: Connection, lease: Lease, notes: Sequence[DoneNote]) -> None:
    """Journals nodes that have done a step while others are still at it."""
    for step, attempt in dict.fromkeys((note.step, note.attempt) for note in notes):
        times = {note.node: note.time for note in notes if (note.step, note.attempt) == (step, attempt)}
        _note_done(connection, lease, step=step, attempt=attempt, times=times)


def _note_done(connection: Connection, lease: Lease, *, step: str, attempt: int, times: Mapping[str, float]) -> None:
    if not times:
        return
    _record_steps(connection, lease, step=step, attempt=attempt, succeeded=True, times=times)
    for names in chunks(list(times)):
        change = update(deployment_nodes).where(deployment_nodes.c.deployment_id == lease.deployment_id)
        connection.execute(change.where(deployment_nodes.c.node.in_(names)).values(step_done=True))
    told: _Told = [(node, StepEnded(step=step, succeeded=True)) for node in times]
    append_events(connection, lease.deployment_id, 0.0, told, times=times)


def _not_done_yet(connection: Connection, lease: Lease, nodes: Sequence[str]) -> list[str]:
    """Returns those of the nodes that were not noted as done with the step that they are in."""
    noted: set[str] = set()
    for names in chunks(nodes):
        query = select(deployment_nodes.c.node).where(
            deployment_nodes.c.deployment_id == lease.deployment_id,
            deployment_nodes.c.node.in_(names),
            deployment_nodes.c.step_done,
        )
        noted.update(connection.execute(query).scalars())
    return [node for node in nodes if node not in noted]


def fail_nodes(
    connection: Connection,
    lease: Lease,
    *,
    failures: Mapping[str, Failure],
    trigger: PartitionTrigger,
    now: float,
) -> None:
    """Takes nodes out of the deployment outside of any step."""
    hold(connection, lease)
    append_events(connection, lease.deployment_id, now, _fail(connection, lease, failures, trigger, now))


def end(
    connection: Connection,
    lease: Lease,
    *,
    trigger: DeploymentTrigger,
    description: str,
    failures: Mapping[str, Failure],
    node_trigger: PartitionTrigger,
    now: float,
) -> None:
    """Ends a deployment and frees its nodes. The row is left without a driver: no lease opens it again."""
    row = hold(connection, lease)
    state = advance_deployment(DeploymentState(row.state), trigger)
    told = _fail(connection, lease, failures, node_trigger, now)
    told.append(("", DeploymentStateChanged(state=state, description=description)))
    append_events(connection, lease.deployment_id, now, told)
    connection.execute(delete(node_locks).where(node_locks.c.deployment_id == lease.deployment_id))
    hold(
        connection,
        lease,
        state=state,
        waiting_slot=None,
        end_time=now,
        description=description,
        driver="",
        lease_expires_at=0.0,
    )


def _update_nodes(
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


def _update_partitions(
    connection: Connection, lease: Lease, nodes: Sequence[str], now: float, *, state: PartitionState
) -> None:
    for names in chunks(nodes):
        change = update(partition_states).where(
            partition_states.c.deployment_id == lease.deployment_id, partition_states.c.node.in_(names)
        )
        connection.execute(change.values(state=state, update_time=now))


def _record_steps(
    connection: Connection,
    lease: Lease,
    *,
    step: str,
    attempt: int,
    succeeded: bool,
    times: Mapping[str, float],
) -> None:
    """Notes how long each node took, all its attempts together. `times`: when each was through."""
    started: dict[str, float] = {}
    for names in chunks(list(times)):
        query = select(deployment_nodes.c.node, deployment_nodes.c.step_start_time).where(
            deployment_nodes.c.deployment_id == lease.deployment_id, deployment_nodes.c.node.in_(names)
        )
        started.update((row.node, row.step_start_time) for row in connection.execute(query))
    rows = [
        {
            "deployment_id": lease.deployment_id,
            "node": node,
            "step": step,
            "start_time": started.get(node) or time,
            "end_time": time,
            "attempts": attempt,
            "succeeded": succeeded,
        }
        for node, time in times.items()
    ]
    if rows:
        connection.execute(insert(node_steps), rows)


def _deploy(connection: Connection, lease: Lease, nodes: Sequence[str], now: float) -> _Told:
    """Says of nodes that they run the new system, and keeps its host keys for the next deployment."""
    new = advance_partition(PartitionState.REBOOTING, PartitionTrigger.SEEN)
    _update_nodes(connection, lease, nodes, PartitionState.REBOOTING, {"state": new, "end_time": now})
    _update_partitions(connection, lease, nodes, now, state=new)
    keys = []
    for names in chunks(nodes):
        query = select(deployment_nodes.c.node, deployment_nodes.c.facts).where(
            deployment_nodes.c.deployment_id == lease.deployment_id, deployment_nodes.c.node.in_(names)
        )
        keys += [
            {"the_node": row.node, "keys": dumps(loads(NodeFacts, row.facts).host_keys if row.facts else ())}
            for row in connection.execute(query)
        ]
    if keys:
        change = update(node_records).where(node_records.c.node == bindparam("the_node"))
        connection.execute(change.values(host_keys=bindparam("keys")), keys)
    return [(node, PartitionStateChanged(state=new)) for node in nodes]


def _fail(
    connection: Connection, lease: Lease, failures: Mapping[str, Failure], trigger: PartitionTrigger, now: float
) -> _Told:
    """Moves nodes to error, each from the state that its row has."""
    told: _Told = []
    rows = []
    for node, old in _states(connection, lease, list(failures)):
        failure = failures[node]
        new = advance_partition(old, trigger)
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


def _states(connection: Connection, lease: Lease, nodes: Sequence[str]) -> Iterator[tuple[str, PartitionState]]:
    for names in chunks(nodes):
        query = select(deployment_nodes.c.node, deployment_nodes.c.state).where(
            deployment_nodes.c.deployment_id == lease.deployment_id, deployment_nodes.c.node.in_(names)
        )
        for row in connection.execute(query).all():
            yield row.node, PartitionState(row.state)
