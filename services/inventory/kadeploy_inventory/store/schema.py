"""Brings the tables of both databases to the present version, and says where they stand."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.exc import DBAPIError

from kadeploy_database.channel import last_words
from kadeploy_database.database_health import check_tables
from kadeploy_database.migration_lock import migration_lock
from kadeploy_inventory.domain.errors import DatabaseUnreachable
from kadeploy_inventory.store.engine import WRITES
from kadeploy_inventory.store.tables import DEPLOY, DEPLOY_RIGHT

METADATA: dict[str, MetaData] = {"deploy": DEPLOY, "deploy_right": DEPLOY_RIGHT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one database stands. No revision: it has no tables yet."""

    database: str
    revision: str | None
    wanted: str | None

    @property
    def is_current(self) -> bool:
        """Returns whether this program can work with it."""
        return self.revision == self.wanted

    @property
    def is_newer(self) -> bool:
        """Returns whether a later version of this program has changed it."""
        return self.revision is not None and self.revision not in _known_revisions()


def upgrade(engines: Mapping[str, Engine]) -> None:
    """Brings both databases to the present version; what is there already stays."""
    for name, engine in engines.items():
        writing = engine.execution_options(**{WRITES: True})
        with asking(name), writing.begin() as connection, migration_lock(connection):
            command.upgrade(_config(connection, name), "head")


def standings(engines: Mapping[str, Engine]) -> list[Standing]:
    """Returns where each database stands."""
    wanted = newest()
    found = []
    for name, engine in engines.items():
        with asking(name), engine.connect() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
        found.append(Standing(database=name, revision=revision, wanted=wanted))
    return found


def newest() -> str:
    """Returns the revision that this release needs."""
    return ScriptDirectory.from_config(_config(None, "")).get_current_head() or ""


def check_tables_of(engines: Mapping[str, Engine]) -> None:
    """Raises DatabaseUnfit for a database that lacks a table."""
    for name, engine in engines.items():
        check_tables(engine, name, METADATA[name], wanted=newest())


def _known_revisions() -> frozenset[str]:
    scripts = ScriptDirectory.from_config(_config(None, "")).walk_revisions()
    return frozenset(script.revision for script in scripts)


def _config(connection: Connection | None, database: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("kadeploy_inventory.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["database"] = database
    config.attributes["metadata"] = METADATA.get(database)
    return config


@contextmanager
def asking(name: str) -> Iterator[None]:
    """Turns what the driver says, while a database is asked, into DatabaseUnreachable."""
    try:
        yield
    except DBAPIError as error:
        message = f"the database {name} does not answer: {last_words(error.orig)}"
        raise DatabaseUnreachable(message, metadata={"database": name}) from error
