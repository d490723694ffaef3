"""Bringing the schema up to date, and saying whether it is."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from kadeploy_database.channel import last_words
from kadeploy_database.migration_lock import migration_lock
from kadeploy_deployer.domain.errors import StoreUnreachable
from kadeploy_edge.errors import NotInState

MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaOutdated(NotInState):
    """The database has another schema than this release needs."""

    reason = "SCHEMA_OUTDATED"


def _config() -> Config:
    config = Config()
    # Alembic reads the value through ConfigParser, to which a percent sign says something.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(engine: Engine, *, to: str = "head") -> str:
    """Brings the schema to a revision, by default the newest; nothing happens if it is there. Returns the newest."""
    config = _config()
    try:
        with engine.begin() as connection, migration_lock(connection):
            config.attributes["connection"] = connection
            command.upgrade(config, to)
    except DBAPIError as error:
        raise _unreachable(error) from error
    return newest()


def newest() -> str:
    """Returns the revision that this release needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return head or ""


def present(engine: Engine) -> str:
    """Returns the revision that the database has; empty when it has no schema."""
    try:
        with engine.begin() as connection:
            return MigrationContext.configure(connection).get_current_revision() or ""
    except DBAPIError as error:
        raise _unreachable(error) from error


def check(engine: Engine) -> None:
    """Raises SchemaOutdated unless the database has the newest revision."""
    found, wanted = present(engine), newest()
    if found != wanted:
        raise SchemaOutdated(
            f"the database has schema {found or '(none)'}, this release needs {wanted}: run "
            "kadeploy-deployer db upgrade",
            metadata={"found": found, "wanted": wanted},
        )


def _unreachable(error: DBAPIError) -> StoreUnreachable:
    return StoreUnreachable(f"the database does not answer as it should: {last_words(error.orig)}")
