"""Opens the databases."""

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url

from kadeploy_database.channel import Channel, lead
from kadeploy_database.mariadb_session import connect_arguments
from kadeploy_database.sqlite_engine import WRITES, open_sqlite

__all__ = ["WRITES", "is_embedded", "open_engine"]

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
        return open_sqlite(parsed, busy_seconds=BUSY_TIMEOUT_SECONDS, writes=False)
    engine = create_engine(
        parsed,
        max_overflow=-1,  # as many as there are workers
        pool_pre_ping=True,
        pool_recycle=3600,
        hide_parameters=True,
        connect_args=connect_arguments(migrating=migrating),
    )
    return lead(engine, channel)


def is_embedded(engine: Engine) -> bool:
    """Returns whether the database is a file of ours, which nobody else prepares."""
    return engine.dialect.name == "sqlite"
