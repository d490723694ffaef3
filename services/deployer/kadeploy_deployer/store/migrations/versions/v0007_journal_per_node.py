"""Each node walks the plan by itself: the journal stands in its row alone."""

from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drops the journal of whole deployments.

    The rows of the nodes have theirs already. Whether a node did the step that it is in stands in `node_steps`, so a
    deployment that runs goes on where each of its nodes is.
    """
    op.drop_column("deployment_nodes", "step_done")
    op.drop_column("deployments", "step")
    op.drop_column("deployments", "attempt")
