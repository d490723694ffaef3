"""Reboots and power changes stand in the tables of deployments: one engine drives them all.

A request for an operation becomes an ended one with what was known of its nodes, so whoever asks again is told. Nobody
drives one while the schema changes, so its locks are free, and of a node that was begun nothing is known.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from kadeploy_database.column_types import word

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NODE_STATES = "state IN ('', 'to_deploy', 'deploying', 'rebooting', 'deployed', 'error', 'to_do', 'doing', 'done')"
LISTED_NODES = 1000
REASONS = {
    "NODE_BUSY": "busy",
    "NODE_NOT_FOUND": "unknown_node",
    "RIGHT_MISSING": "no_right",
    "OPERATION_STOPPED": "cancelled",
    "NOTHING_DEPLOYED_THERE": "nothing_deployed_there",
    "BOOT_FILES_FAILED": "boot_files_failed",
    "WRONG_SYSTEM_BOOTED": "wrong_system_booted",
    "NOT_THERE_AFTER_REBOOT": "not_there_after_reboot",
    "POWER_FAILED": "power_failed",
    "NODE_UNREACHABLE": "node_unreachable",
    "COMMAND_TIMED_OUT": "command_timed_out",
    "OUTCOME_UNKNOWN": "outcome_unknown",
    "INVENTORY_UNREACHABLE": "inventory_unreachable",
    "LEASE_LOST": "lease_lost",
}


def upgrade() -> None:
    """Moves the operations, frees what they held, and drops their tables."""
    op.add_column("deployments", sa.Column("kind", word(64), nullable=False, server_default="deployment"))
    _widen_states()
    _move_operations()
    op.execute("DELETE FROM node_locks WHERE operation_id IS NOT NULL")
    _drop_operations_of_locks()
    for table in ("operation_nodes", "operation_requests", "operation_leases", "console_slots"):
        op.drop_table(table)
    op.create_table(
        "console_slots",
        sa.Column("node", word(255), nullable=False),
        sa.Column("session_id", word(64), nullable=False),
        sa.Column("owner", word(255), nullable=False),
        sa.Column("start_time", sa.Double(), nullable=False),
        sa.Column("lease_seconds", sa.Double(), nullable=False, server_default="30"),
        sa.Column("renewals", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_console_slots")),
        sa.UniqueConstraint("session_id", name=op.f("uq_console_slots_session_id")),
    )


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _widen_states() -> None:
    name = op.f("ck_deployment_nodes_state")
    if _is_sqlite():
        # The table is written anew, and an old check does not come along.
        options: dict[str, Any] = {"sqlite_with_rowid": False}
        with op.batch_alter_table("deployment_nodes", recreate="always", table_kwargs=options) as table:
            table.create_check_constraint(name, NODE_STATES)
        return
    op.drop_constraint(name, "deployment_nodes", type_="check")
    op.create_check_constraint(name, "deployment_nodes", NODE_STATES)


def _drop_operations_of_locks() -> None:
    name = op.f("ck_node_locks_one_holder")
    if _is_sqlite():
        with op.batch_alter_table("node_locks") as table:
            table.drop_constraint(name, type_="check")
            table.drop_index(op.f("ix_node_locks_operation_id"))
            table.drop_column("operation_id")
            table.alter_column("deployment_id", existing_type=word(36), nullable=False)
        return
    op.drop_constraint(name, "node_locks", type_="check")
    op.drop_index(op.f("ix_node_locks_operation_id"), "node_locks")
    op.drop_column("node_locks", "operation_id")
    op.alter_column("node_locks", "deployment_id", existing_type=word(36), nullable=False)


def _move_operations() -> None:
    connection = op.get_bind()
    requests = sa.table(
        "operation_requests",
        *map(sa.column, ("id", "owner", "request_id", "fingerprint", "create_time")),
    )
    nodes = sa.table("operation_nodes", *map(sa.column, ("operation_request_id", "node", "begun", "outcome")))
    deployments = sa.table("deployments", *map(sa.column, ("owner", "request_id")))
    taken = sa.exists().where(
        deployments.c.owner == requests.c.owner, deployments.c.request_id == requests.c.request_id
    )
    for request in connection.execute(sa.select(requests).where(sa.not_(taken))).all():
        mine = sa.select(nodes).where(nodes.c.operation_request_id == request.id).order_by(nodes.c.node)
        rows = [_node_row(request, place, row) for place, row in enumerate(connection.execute(mine).all())]
        names = ",".join(row["node"] for row in rows)[:LISTED_NODES]
        _insert(connection, "deployments", [_operation_row(request, names, rows)])
        _insert(connection, "deployment_nodes", rows)


def _insert(connection: sa.Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(sa.table(table, *map(sa.column, rows[0]))), list(rows))


def _operation_row(request: Any, names: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kind = "power" if request.id.startswith("op-power") else "reboot"
    good = sum(row["state"] == "done" for row in rows)
    power = {"action": "cycle", "level": None} if kind == "power" else None
    return {
        "id": request.id,
        "kind": kind,
        "state": "terminated" if good == len(rows) else "error",
        "owner": request.owner,
        "needs_right": False,
        "request_id": request.request_id,
        "fingerprint": request.fingerprint,
        "spec": json.dumps({"kind": kind, "nodes": names, "power": power}),
        "environment": "",
        "version": 1,
        "driver": "",
        "lease_expires_at": 0.0,
        "fence": 1,
        "cancel_requested": False,
        "cancel_reason": "",
        "last_sequence": 0,
        "create_time": request.create_time,
        "start_time": request.create_time,
        "end_time": request.create_time,
        "description": f"{good} of {len(rows)} nodes done, by an earlier release",
    }


def _node_row(request: Any, place: int, row: Any) -> dict[str, Any]:
    state, reason, text = "done", "", ""
    if row.outcome:
        error = json.loads(row.outcome)
        state, reason, text = "error", REASONS.get(error["reason"], "internal"), error["message"]
    elif row.outcome is None:
        state = "error"
        reason, text = (
            ("outcome_unknown", f"{row.node} was under way when the deployer was upgraded; look at it")
            if row.begun
            else ("cancelled", f"{row.node} was left alone: the deployer was upgraded")
        )
    return {
        "deployment_id": request.id,
        "node": row.node,
        "position": place,
        "device": "",
        "partition_number": 0,
        "state": state,
        "start_time": request.create_time,
        "end_time": request.create_time,
        "reason": reason,
        "description": text,
    }
