"""What steps print on nodes: the end of it, per node, step and attempt."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from kadeploy_deployer.ports import LAST_OUTPUT_BYTES
from kadeploy_deployer.ports.journal_entries import OutputEntry
from kadeploy_deployer.ports.store_values import StoredOutput
from kadeploy_deployer.store.tables import step_outputs


def last_bytes(text: str) -> tuple[str, bool]:
    """Returns the last 64 KiB of a text, and whether something was dropped before them."""
    raw = text.encode()
    if len(raw) <= LAST_OUTPUT_BYTES:
        return text, False
    return raw[-LAST_OUTPUT_BYTES:].decode(errors="ignore"), True


def append_output(connection: Connection, deployment_id: str, entry: OutputEntry) -> None:
    """Appends a text to what is kept."""
    key = {"deployment_id": deployment_id, "node": entry.node, "step": entry.step, "attempt": entry.attempt}
    mine = [step_outputs.c[name] == value for name, value in key.items()]
    row = connection.execute(select(step_outputs.c.text, step_outputs.c.truncated).where(*mine)).one_or_none()
    text, truncated = last_bytes((row.text if row else "") + entry.text)
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
