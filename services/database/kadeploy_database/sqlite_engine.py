"""How both services open an SQLite database. What SQLite needs to behave like a server is here and nowhere else."""

import os
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from kadeploy_database.failures import DatabaseDamaged, explain_failures, sqlite_path

WRITES: Final = "kadeploy_writes"
"""The execution option that says whether a transaction writes."""

PRAGMAS: Final = {
    # Readers do not wait for the writer, nor the writer for them.
    "journal_mode": "WAL",
    # With a write-ahead log NORMAL would do against damage, but the last commits before a power cut would be gone: what
    # was acknowledged must be on the disk. Never left to the build's default.
    "synchronous": "FULL",
    "foreign_keys": "ON",
    # A view, trigger or index that somebody put into the file calls no function with effects outside of it.
    "trusted_schema": "OFF",
    # Damaged pages are noticed when they are read, before something is computed or written from them.
    "cell_size_check": "ON",
}


def open_sqlite(url: URL, *, busy_seconds: float, writes: bool, cache_kib: int = 2048) -> Engine:
    """Returns the engine of a database in a file.

    Args:
        url: `sqlite:////path`, which makes the file; or as `SqliteAccess.url` has it, which never does.
        busy_seconds: how long a transaction waits for another connection's lock.
        writes: what a transaction does whose execution options have no WRITES.
        cache_kib: the pages that each connection keeps in memory.
    """
    path = sqlite_path(url)
    if path is not None and "uri" not in url.query:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    engine = create_engine(
        url,
        max_overflow=-1,
        # What is bound to statements are commands, keys and tokens: none of it belongs into a traceback in the log.
        hide_parameters=True,
        connect_args={"timeout": busy_seconds},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        # The driver would begin transactions at moments of its own choice; with None it leaves that to us.
        connection.isolation_level = None
        if path is not None and "uri" in url.query and path.stat().st_size == 0:
            # SQLite would begin a new database in it.
            raise DatabaseDamaged.of(url, "the file is empty")
        for name, value in {**PRAGMAS, "cache_size": str(-cache_kib)}.items():
            connection.execute(f"PRAGMA {name} = {value}").close()
        if path is not None:
            status = path.stat()
            record.info["file"] = status.st_dev, status.st_ino

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if path is not None:
            _check_file(url, os.fspath(path), connection.info.get("file"))
        # A writer takes the lock at once: one that had read before could not get it later without starting over.
        immediate = connection.get_execution_options().get(WRITES, writes)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return explain_failures(engine)


def _check_file(url: URL, path: str, known: object) -> None:
    """Raises DatabaseDamaged where the file is not the one that was opened: what is written there would be lost."""
    try:
        status = os.stat(path)  # noqa: PTH116 - before each transaction
    except FileNotFoundError:
        raise DatabaseDamaged.of(url, "the file was removed while it was in use") from None
    if (status.st_dev, status.st_ino) != known:
        raise DatabaseDamaged.of(url, "the file was replaced while it was in use")
    if status.st_size == 0:
        raise DatabaseDamaged.of(url, "the file was emptied while it was in use")
