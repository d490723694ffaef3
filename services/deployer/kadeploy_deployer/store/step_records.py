"""Who has done a step, and how long it took: what a resumed step need not do again, and what statistics count."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, update

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.events import StepEnded
from kadeploy_deployer.ports.store_values import DoneNote
from kadeploy_deployer.store.bulk import insert_rows
from kadeploy_deployer.store.database import chunks
from kadeploy_deployer.store.event_rows import append_events
from kadeploy_deployer.store.node_states import rows_of
from kadeploy_deployer.store.tables import deployment_nodes, node_steps


def note_done(connection: Connection, lease: Lease, notes: Sequence[DoneNote]) -> None:
    """Journals nodes that have done a step while others are still at it."""
    for step, attempt in dict.fromkeys((note.step, note.attempt) for note in notes):
        times = {note.node: note.time for note in notes if (note.step, note.attempt) == (step, attempt)}
        record_done(connection, lease, step=step, attempt=attempt, times=times)


def record_done(connection: Connection, lease: Lease, *, step: str, attempt: int, times: Mapping[str, float]) -> None:
    """Journals nodes that are through with a step, each at its time."""
    if not times:
        return
    record_steps(connection, lease, step=step, attempt=attempt, succeeded=True, times=times)
    for names in chunks(list(times)):
        change = update(deployment_nodes).where(deployment_nodes.c.deployment_id == lease.deployment_id)
        connection.execute(change.where(deployment_nodes.c.node.in_(names)).values(step_done=True))
    told = [(node, StepEnded(step=step, succeeded=True)) for node in times]
    append_events(connection, lease.deployment_id, 0.0, told, times=times)


def not_done_yet(connection: Connection, lease: Lease, nodes: Sequence[str]) -> list[str]:
    """Returns those of the nodes that were not noted as done with the step that they are in."""
    noted = {node for node, done in rows_of(connection, lease, nodes, deployment_nodes.c.step_done) if done}
    return [node for node in nodes if node not in noted]


def record_steps(
    connection: Connection,
    lease: Lease,
    *,
    step: str,
    attempt: int,
    succeeded: bool,
    times: Mapping[str, float],
) -> None:
    """Notes how long each node took, all its attempts together. `times`: when each was through."""
    started = dict(rows_of(connection, lease, list(times), deployment_nodes.c.step_start_time))
    insert_rows(
        connection,
        node_steps,
        ("node", "start_time", "end_time"),
        [(node, started.get(node) or time, time) for node, time in times.items()],
        same={"deployment_id": lease.deployment_id, "step": step, "attempts": attempt, "succeeded": succeeded},
    )
