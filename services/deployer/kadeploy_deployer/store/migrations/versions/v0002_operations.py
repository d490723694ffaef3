"""Nodes and consoles can be held by operations too, which have a lease of their own."""

import sqlalchemy as sa
from alembic import op

from kadeploy_database.column_types import word

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Lets an operation stand where only a deployment could; locks that are there stay."""
    with op.batch_alter_table("node_locks") as table:
        table.alter_column("deployment_id", existing_type=word(36), nullable=True)
        table.add_column(sa.Column("operation_id", word(64), nullable=True))
        table.add_column(sa.Column("lease_expires_at", sa.Double(), nullable=True))
        table.create_check_constraint(
            op.f("ck_node_locks_one_holder"),
            "(deployment_id IS NOT NULL AND operation_id IS NULL AND lease_expires_at IS NULL)"
            " OR (deployment_id IS NULL AND operation_id IS NOT NULL AND lease_expires_at IS NOT NULL)",
        )
        table.create_index(op.f("ix_node_locks_operation_id"), ["operation_id"], unique=False)
    op.create_table(
        "console_slots",
        sa.Column("node", word(255), nullable=False),
        sa.Column("operation_id", word(64), nullable=False),
        sa.Column("owner", word(255), nullable=False),
        sa.Column("start_time", sa.Double(), nullable=False),
        sa.Column("lease_expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_console_slots")),
    )
    op.create_index(op.f("ix_console_slots_operation_id"), "console_slots", ["operation_id"], unique=False)
