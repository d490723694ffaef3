"""Leases are judged by a counter, waits by what was waited; requests are compared; rights are asked for at each use."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from kadeploy_database.column_types import word

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

HOLDER = "(deployment_id IS NOT NULL AND operation_id IS NULL) OR (deployment_id IS NULL AND operation_id IS NOT NULL)"


def upgrade() -> None:
    """Keeps all rows. A lease that is held counts anew from here on; so does the wait of a deployment that waits."""
    _add("deployments", "needs_right", sa.Boolean(), sa.false())
    for table in ("deployments", "queue_places"):
        op.add_column(table, sa.Column("fingerprint", word(64)))
    _add("deployments", "lease_seconds", sa.Double(), "30")
    _add("deployments", "renewals", sa.BigInteger(), "0")
    _add("deployments", "wait_seconds", sa.Double(), "0")
    _add("deployments", "waited_seconds", sa.Double(), "0")
    op.execute(
        "UPDATE deployments SET wait_seconds = wait_until - create_time"
        " WHERE state = 'waiting' AND wait_until > create_time"
    )
    op.drop_column("deployments", "wait_until")
    _make_operation_leases()
    op.drop_column("operation_requests", "lease_expires_at")
    op.drop_column("console_slots", "lease_expires_at")
    _drop_expiry_of_locks()
    _add("queue_places", "renewals", sa.BigInteger(), "0")
    op.drop_column("queue_places", "expires_at")


def _add(table: str, column: str, kind: "sa.types.TypeEngine[Any]", default: "str | sa.False_") -> None:
    op.add_column(table, sa.Column(column, kind, nullable=False, server_default=default))


def _make_operation_leases() -> None:
    op.create_table(
        "operation_leases",
        sa.Column("operation_id", word(64), nullable=False),
        sa.Column("lease_seconds", sa.Double(), nullable=False),
        sa.Column("renewals", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", name=op.f("pk_operation_leases")),
    )
    # An operation that gave its request back has the expiry 0 there.
    op.execute(
        "INSERT INTO operation_leases (operation_id, lease_seconds, renewals)"
        " SELECT operation_id, 30, 0 FROM node_locks WHERE operation_id IS NOT NULL"
        " UNION SELECT operation_id, 30, 0 FROM console_slots"
        " UNION SELECT operation_id, 30, 0 FROM operation_requests WHERE ended = 0 AND lease_expires_at > 0"
    )


def _drop_expiry_of_locks() -> None:
    name = op.f("ck_node_locks_one_holder")
    if op.get_context().dialect.name == "sqlite":
        # The table is written anew, and an old check does not come along.
        with op.batch_alter_table("node_locks") as table:
            table.drop_column("lease_expires_at")
            table.create_check_constraint(name, HOLDER)
        return
    op.drop_constraint(name, "node_locks", type_="check")
    op.drop_column("node_locks", "lease_expires_at")
    op.create_check_constraint(name, "node_locks", HOLDER)
