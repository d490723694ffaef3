"""The journal: what is about to be done to nodes, and what became of it. All changes go through `lease.hold`.

A node's row, its partition's row, the story and the journal change together or not at all.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, select

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.events import DeploymentStateChanged, PartitionStateChanged, StepEnded, StepStarted
from kadeploy_deployer.domain.lifecycle import (
    ENTERS,
    DeploymentTrigger,
    PartitionTrigger,
    advance_deployment,
    advance_partition,
)
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import DeploymentState, PartitionState
from kadeploy_deployer.store.event_rows import append_events
from kadeploy_deployer.store.lease import hold
from kadeploy_deployer.store.node_states import Told, deploy, fail, move_nodes, move_partitions
from kadeploy_deployer.store.step_records import not_done_yet, record_done, record_steps
from kadeploy_deployer.store.tables import deployments, node_locks


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
    journal = select(deployments.c.step).where(deployments.c.id == lease.deployment_id)
    went_on = {} if connection.execute(journal).scalar_one_or_none() == step else {"dead_drivers": 0}
    hold(connection, lease, step=step, attempt=attempt, **went_on)
    told: Told = []
    by_state: dict[PartitionState, list[str]] = defaultdict(list)
    for node, old in nodes.items():
        by_state[old].append(node)
    for old, names in by_state.items():
        new = advance_partition(old, ENTERS[state])
        values = {"state": new, "step": step, "attempt": attempt, "step_done": False}
        if attempt == 1:
            values["step_start_time"] = now
        move_nodes(connection, lease, names, old, values)
        if new is not old:
            move_partitions(connection, lease, names, now, state=new)
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
    unknown = not_done_yet(connection, lease, done)
    times = {node: ended.get(node, now) for node in (*unknown, *failed)}
    record_done(connection, lease, step=step, attempt=attempt, times={node: times[node] for node in unknown})
    told: Told = [
        (node, StepEnded(step=step, succeeded=False, description=failure.description))
        for node, failure in (*failed.items(), *again.items())
    ]
    record_steps(
        connection,
        lease,
        step=step,
        attempt=attempt,
        succeeded=False,
        times={node: times[node] for node in failed},
    )
    if deployed:
        told += deploy(connection, lease, done, now)
    told += fail(connection, lease, failed, PartitionTrigger.FAIL, now)
    theirs = {node: ended[node] for node in (*failed, *again) if node in ended}
    append_events(connection, lease.deployment_id, now, told, times=theirs)


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
    append_events(connection, lease.deployment_id, now, fail(connection, lease, failures, trigger, now))


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
    told = fail(connection, lease, failures, node_trigger, now)
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
