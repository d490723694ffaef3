"""What descriptions of Kadeploy 3.7 say of an environment: alias, architecture, variables, and what it refuses."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from kadeploy_database.column_types import word

revision = "0004"
down_revision = "0003"


def upgrade(database: str) -> None:
    """Adds the columns; what is recorded has none of it."""
    if database == "deploy":
        op.add_column("environments", Column("alias", word(64), nullable=False, server_default=""))
        op.add_column("environments", Column("architecture", word(32), nullable=False, server_default=""))
        op.add_column("environments", Column("custom_variables", sa.JSON(none_as_null=True), nullable=True))
        refused = Column("running_system_refused", sa.Boolean, nullable=False, server_default=sa.false())
        op.add_column("environments", refused)
        op.create_index("ix_environments_alias", "environments", ["alias", "owner", "version"])
