"""The first schema."""

import sqlalchemy as sa
from alembic import op

from kadeploy_database.column_types import long_text, word

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes all tables."""
    op.create_table(
        "deployments",
        sa.Column("id", word(36), nullable=False),
        sa.Column("state", word(64), nullable=False),
        sa.Column("waiting_slot", sa.Integer(), nullable=True),
        sa.Column("owner", word(255), nullable=False),
        sa.Column("request_id", word(64), nullable=True),
        sa.Column("spec", long_text(), nullable=False),
        sa.Column("environment", long_text(), nullable=False),
        sa.Column("step", word(64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("driver", word(255), nullable=False),
        sa.Column("lease_expires_at", sa.Double(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("cancel_reason", long_text(), nullable=False),
        sa.Column("wait_until", sa.Double(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.Double(), nullable=False),
        sa.Column("start_time", sa.Double(), nullable=True),
        sa.Column("end_time", sa.Double(), nullable=True),
        sa.Column("description", long_text(), nullable=False),
        sa.CheckConstraint(
            "(state = 'waiting' AND waiting_slot IS NOT NULL AND waiting_slot = 1)"
            " OR (state <> 'waiting' AND waiting_slot IS NULL)",
            name=op.f("ck_deployments_one_waits"),
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'deploying', 'terminated', 'error')", name=op.f("ck_deployments_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
        sa.UniqueConstraint("owner", "request_id", name=op.f("uq_deployments_owner_request_id")),
        sa.UniqueConstraint("waiting_slot", name=op.f("uq_deployments_waiting_slot")),
    )
    op.create_index(op.f("ix_deployments_create_time_id"), "deployments", ["create_time", "id"], unique=False)
    op.create_index(
        op.f("ix_deployments_state_lease_expires_at"), "deployments", ["state", "lease_expires_at"], unique=False
    )
    op.create_table(
        "deployment_inputs",
        sa.Column("deployment_id", word(36), nullable=False),
        sa.Column("secret", word(64), nullable=False),
        sa.Column("profiles", long_text(), nullable=False),
        sa.Column("nodes", long_text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_deployment_inputs_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_deployment_inputs")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "deployment_nodes",
        sa.Column("deployment_id", word(36), nullable=False),
        sa.Column("node", word(255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("device", word(64), nullable=False),
        sa.Column("partition_number", sa.Integer(), nullable=False),
        sa.Column("facts", long_text(), nullable=True),
        sa.Column("previous_host_keys", long_text(), nullable=True),
        sa.Column("state", word(64), nullable=False),
        sa.Column("step", word(64), nullable=False, server_default=""),
        sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("step_done", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("step_start_time", sa.Double(), nullable=True),
        sa.Column("start_time", sa.Double(), nullable=True),
        sa.Column("end_time", sa.Double(), nullable=True),
        sa.Column("reason", word(64), nullable=False),
        sa.Column("description", long_text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('', 'to_deploy', 'deploying', 'rebooting', 'deployed', 'error')",
            name=op.f("ck_deployment_nodes_state"),
        ),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_deployment_nodes_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("deployment_id", "node", name=op.f("pk_deployment_nodes")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("deployment_id", word(36), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("node", word(255), nullable=False),
        sa.Column("kind", word(64), nullable=False),
        sa.Column("payload", long_text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_events_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("deployment_id", "sequence", name=op.f("pk_events")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "node_locks",
        sa.Column("node", word(255), nullable=False),
        sa.Column("deployment_id", word(36), nullable=False),
        sa.Column("owner", word(255), nullable=False),
        sa.Column("lock_time", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_node_locks_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_node_locks")),
    )
    op.create_index(op.f("ix_node_locks_deployment_id"), "node_locks", ["deployment_id"], unique=False)
    op.create_table(
        "node_records",
        sa.Column("node", word(255), nullable=False),
        sa.Column("last_deployment_id", word(36), nullable=False),
        sa.Column("host_keys", long_text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["last_deployment_id"], ["deployments.id"], name=op.f("fk_node_records_last_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_node_records")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "node_steps",
        sa.Column("deployment_id", word(36), nullable=False),
        sa.Column("node", word(255), nullable=False),
        sa.Column("step", word(64), nullable=False),
        sa.Column("start_time", sa.Double(), nullable=False),
        sa.Column("end_time", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_node_steps_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("deployment_id", "node", "step", name=op.f("pk_node_steps")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "partition_states",
        sa.Column("node", word(255), nullable=False),
        sa.Column("device", word(64), nullable=False),
        sa.Column("partition_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("deployment_id", word(36), nullable=False),
        sa.Column("state", word(64), nullable=False),
        sa.Column("reason", word(64), nullable=False),
        sa.Column("description", long_text(), nullable=False),
        sa.Column("update_time", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "state IN ('to_deploy', 'deploying', 'rebooting', 'deployed', 'error')",
            name=op.f("ck_partition_states_state"),
        ),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_partition_states_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("node", "device", "partition_number", name=op.f("pk_partition_states")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "step_outputs",
        sa.Column("deployment_id", word(36), nullable=False),
        sa.Column("node", word(255), nullable=False),
        sa.Column("step", word(64), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", long_text(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_step_outputs_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("deployment_id", "node", "step", "attempt", name=op.f("pk_step_outputs")),
    )
    turnstile = op.create_table(
        "turnstile",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_ticket", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turnstile")),
    )
    op.bulk_insert(turnstile, [{"id": 1, "last_ticket": 0}])
    op.create_table(
        "queue_places",
        sa.Column("ticket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner", word(255), nullable=False),
        sa.Column("request_id", word(64), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("ticket", name=op.f("pk_queue_places")),
        sa.UniqueConstraint("owner", "request_id", name=op.f("uq_queue_places_owner_request_id")),
    )
