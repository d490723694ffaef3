"""One migrates at a time. SQLite's write lock sees to it; on MariaDB, whose DDL knows no transaction, a named lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, text

from kadeploy_edge.errors import Exhausted

PATIENCE_SECONDS: Final = 60


class MigrationRunning(Exhausted):
    """Another process migrates the database, for longer than one would think."""

    reason = "MIGRATION_RUNNING"


@contextmanager
def migration_lock(connection: Connection) -> Iterator[None]:
    """Holds the lock, which a lost connection gives back; or raises MigrationRunning."""
    if connection.dialect.name == "sqlite":
        yield
        return
    name = {"name": f"kadeploy_migration_{connection.engine.url.database}"[:64], "seconds": PATIENCE_SECONDS}
    if connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), name).scalar() != 1:
        raise MigrationRunning(f"another process has been migrating the database for {PATIENCE_SECONDS} s; try again")
    try:
        yield
    finally:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), name)
