"""Each node walks the plan by itself: the journal stands in its row alone. Queues claim nodes; reboots leave a mark."""

import sqlalchemy as sa
from alembic import op

from kadeploy_database.column_types import word

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drops the journal of whole deployments, and makes the table of claims.

    The rows of the nodes have theirs already. Whether a node did the step that it is in stands in `node_steps`, so a
    deployment that runs goes on where each of its nodes is.
    """
    op.drop_column("deployment_nodes", "step_done")
    op.drop_column("deployments", "step")
    op.drop_column("deployments", "attempt")
    op.add_column("operation_nodes", sa.Column("mark", word(255), nullable=False, server_default=""))
    op.create_table(
        "queue_nodes",
        sa.Column("ticket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("node", word(255), nullable=False),
        sa.PrimaryKeyConstraint("ticket", "node", name=op.f("pk_queue_nodes")),
        sqlite_with_rowid=False,
    )
