"""What steps learn while they work: facts, outputs, remarks. Many notes share one transaction."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, insert, select, update

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.events import Remark
from kadeploy_deployer.ports import LAST_OUTPUT_BYTES
from kadeploy_deployer.ports.store_values import DoneNote, FactsNote, Note, OutputNote, RemarkNote, StoredOutput
from kadeploy_deployer.store.codec import dumps
from kadeploy_deployer.store.event_rows import append_events
from kadeploy_deployer.store.lease import hold
from kadeploy_deployer.store.step_records import note_done
from kadeploy_deployer.store.tables import deployment_nodes, step_outputs


def record(connection: Connection, lease: Lease, notes: Sequence[Note], *, now: float) -> None:
    """Stores notes in their order."""
    hold(connection, lease)
    facts = {note.node: dumps(note.facts) for note in notes if isinstance(note, FactsNote)}
    _store_facts(connection, lease, facts)
    for note in notes:
        if isinstance(note, OutputNote):
            _append_output(connection, lease, note)
    note_done(connection, lease, [note for note in notes if isinstance(note, DoneNote)])
    told = [(note.node, Remark(text=note.text)) for note in notes if isinstance(note, RemarkNote)]
    append_events(connection, lease.deployment_id, now, told)


def _store_facts(connection: Connection, lease: Lease, facts: Mapping[str, str]) -> None:
    if not facts:
        return
    change = update(deployment_nodes).where(
        deployment_nodes.c.deployment_id == lease.deployment_id,
        deployment_nodes.c.node == bindparam("the_node"),
    )
    rows = [{"the_node": node, "text": text} for node, text in facts.items()]
    connection.execute(change.values(facts=bindparam("text")), rows)


def last_bytes(text: str) -> tuple[str, bool]:
    """Returns the last 64 KiB of a text, and whether something was dropped before them."""
    raw = text.encode()
    if len(raw) <= LAST_OUTPUT_BYTES:
        return text, False
    return raw[-LAST_OUTPUT_BYTES:].decode(errors="ignore"), True


def _append_output(connection: Connection, lease: Lease, note: OutputNote) -> None:
    key = {
        "deployment_id": lease.deployment_id,
        "node": note.node,
        "step": note.step,
        "attempt": note.attempt,
    }
    mine = [step_outputs.c[name] == value for name, value in key.items()]
    row = connection.execute(select(step_outputs.c.text, step_outputs.c.truncated).where(*mine)).one_or_none()
    text, truncated = last_bytes((row.text if row else "") + note.text)
    values = {"text": text, "truncated": truncated or bool(row and row.truncated)}
    if row:
        connection.execute(update(step_outputs).where(*mine).values(values))
    else:
        connection.execute(insert(step_outputs).values({**key, **values}))


def read_outputs(connection: Connection, deployment_id: str, node: str, step: str) -> Sequence[StoredOutput]:
    """Returns what steps printed on a node, in the order of the attempts."""
    query = select(step_outputs).where(step_outputs.c.deployment_id == deployment_id, step_outputs.c.node == node)
    if step:
        query = query.where(step_outputs.c.step == step)
    return [
        StoredOutput(step=row.step, attempt=row.attempt, text=row.text, truncated=row.truncated)
        for row in connection.execute(query.order_by(step_outputs.c.step, step_outputs.c.attempt))
    ]
