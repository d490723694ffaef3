"""Opens the databases. What SQLite needs to behave like a server is here and nowhere else."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url

from kadeploy_database.channel import Channel, lead
from kadeploy_database.mariadb_session import connect_arguments

WRITES = "kadeploy_writes"
BUSY_TIMEOUT_SECONDS = 5


def open_engine(url: str | URL, channel: Channel | None = None, *, migrating: bool = False) -> Engine:
    """Returns the engine of a database.

    Args:
        url: `sqlite:////path` or `mysql+pymysql://user:password@host/database`.
        channel: how the server is reached.
        migrating: for the `db` commands, whose statements may take long.

    Raises:
        UnusableCertificate: the channel cannot be made.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    engine = create_engine(
        parsed,
        max_overflow=-1,  # as many as there are workers
        pool_pre_ping=True,
        pool_recycle=3600,
        connect_args=connect_arguments(migrating=migrating),
    )
    return lead(engine, channel)


def is_embedded(engine: Engine) -> bool:
    """Returns whether the database is a file of ours, which nobody else prepares."""
    return engine.dialect.name == "sqlite"


def _open_sqlite(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    engine = create_engine(url, max_overflow=-1, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver would begin transactions at moments of its own choice; with None it leaves that to us.
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once: one that had read before could not get it later without starting over.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
