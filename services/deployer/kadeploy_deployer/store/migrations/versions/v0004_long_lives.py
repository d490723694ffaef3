"""Deployments that many deployers drive in turn, and databases that are years old."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Counts the drivers that died in a step, and finds what has ended long ago."""
    op.add_column("deployments", sa.Column("dead_drivers", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_deployments_end_time"), "deployments", ["end_time"], unique=False)
