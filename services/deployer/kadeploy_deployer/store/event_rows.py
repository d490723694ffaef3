"""The stored events of a deployment, appended in the transaction that changes what they say."""

from collections.abc import Sequence
from typing import get_args

from sqlalchemy import Connection, select, update

from kadeploy_deployer.domain.events import Event, EventKind
from kadeploy_deployer.store.bulk import insert_rows
from kadeploy_deployer.store.codec import dumps, loads
from kadeploy_deployer.store.tables import deployments, events

KINDS: dict[str, type[EventKind]] = {kind.__name__: kind for kind in get_args(EventKind)}

NewEvent = tuple[float, str, EventKind]
"""When, on which node ("" for the deployment), and what."""


def append_events(connection: Connection, deployment_id: str, new: Sequence[NewEvent]) -> None:
    """Appends events with the next sequences.

    The counter is raised first: that takes the row, so that two writers never share a sequence.
    """
    if not new:
        return
    mine = deployments.c.id == deployment_id
    connection.execute(update(deployments).where(mine).values(last_sequence=deployments.c.last_sequence + len(new)))
    last = connection.execute(select(deployments.c.last_sequence).where(mine)).scalar_one()
    texts: dict[EventKind, str] = {}
    rows = []
    for sequence, (time, node, kind) in enumerate(new, start=last - len(new) + 1):
        if kind not in texts:
            texts[kind] = dumps(kind)
        rows.append((sequence, time, node, type(kind).__name__, texts[kind]))
    columns = ("sequence", "time", "node", "kind", "payload")
    insert_rows(connection, events, columns, rows, same={"deployment_id": deployment_id})


def read_events(connection: Connection, deployment_id: str, *, after: int, limit: int) -> Sequence[Event]:
    """Returns stored events in order, beginning after a sequence."""
    query = (
        select(events)
        .where(events.c.deployment_id == deployment_id, events.c.sequence > after)
        .order_by(events.c.sequence)
        .limit(limit)
    )
    return [
        Event(sequence=row.sequence, time=row.time, node=row.node, kind=loads(KINDS[row.kind], row.payload))
        for row in connection.execute(query)
    ]
