"""Indexes for the lookup of an environment by its name, and for what a user has."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade(database: str) -> None:
    """Adds the indexes."""
    if database == "deploy":
        op.create_index("ix_environments_visibility", "environments", ["name", "visibility", "version", "owner"])
        op.create_index("ix_environments_owner_visibility", "environments", ["name", "owner", "visibility", "version"])
        op.create_index("ix_environments_owner", "environments", ["owner", "create_time"])
