"""The UUIDs of machines."""

from alembic import op
from sqlalchemy import Column

from kadeploy_database.column_types import word

revision = "0002"
down_revision = "0001"


def upgrade(database: str) -> None:
    """Adds a column to the nodes; those that are there have none yet."""
    if database == "deploy":
        op.add_column("nodes", Column("uuid", word(36), nullable=True))
        op.create_index("ix_nodes_uuid", "nodes", ["uuid"], unique=True)
