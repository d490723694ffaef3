"""A database as an earlier release left it."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from sqlalchemy import Connection

from kadeploy_database.migration_lock import migration_lock
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.tables import metadata


@contextmanager
def at_revision(database: Database, revision: str) -> Iterator[Connection]:
    """Yields a connection on which a database with nothing in it has the schema of an earlier revision."""
    config = schema._config()
    with database.engine.begin() as connection, migration_lock(connection):
        config.attributes["connection"] = connection
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
        command.upgrade(config, revision)
        yield connection
