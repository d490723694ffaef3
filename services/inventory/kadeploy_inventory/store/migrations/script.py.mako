"""${message}."""

from alembic import op
import sqlalchemy as sa

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade(database: str) -> None:
    """Changes one of the databases `deploy` and `deploy_right`."""
    if database == "deploy":
        ${upgrades if upgrades else "pass"}
