"""The engine and its transactions. Everything engine-specific stands here; the repositories speak portable SQL.

Work is a plain function on a connection: it runs in a thread, in one short transaction, and may be run again from the
start when the database asks for it (a deadlock, a lock that was not free in time, a lost race for a unique key).
"""

import asyncio
import functools
import logging
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, InterfaceError, InternalError, OperationalError

from kadeploy_database.channel import Channel, last_words, lead
from kadeploy_database.failures import DatabaseDamaged, DatabaseFull, whole_rows
from kadeploy_database.mariadb_session import connect_arguments
from kadeploy_database.space_reserve import SpaceReserve, run_within
from kadeploy_database.sqlite_engine import WRITES, open_sqlite
from kadeploy_deployer.domain.errors import StoreDamaged, StoreFailed, StoreFull, StoreUnreachable
from kadeploy_edge.errors import Invalid

_Result = TypeVar("_Result")
_Value = TypeVar("_Value")

logger = logging.getLogger(__name__)

BUSY_SECONDS = 10.0
"""How long a transaction on SQLite waits for another process's lock."""
TRIES = 6
FIRST_PAUSE = 0.02
OUTAGE_PAUSE = 0.5
CHUNK = 900
"""How many names stand in one IN (...)."""

MYSQL_CHANGED, MYSQL_LOCK_TIMEOUT, MYSQL_DEADLOCK = 1020, 1205, 1213


class InvalidDatabaseUrl(Invalid):
    """The setting names no database that we can use."""

    reason = "INVALID_DATABASE_URL"


def chunks(names: Sequence[_Value], size: int = CHUNK) -> list[Sequence[_Value]]:
    """Returns the names, or other values, in pieces that fit into one statement."""
    return [names[start : start + size] for start in range(0, len(names), size)]


def _parsed(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidDatabaseUrl(
            "the database URL cannot be read; write sqlite:////path or mysql+pymysql://…"
        ) from None
    if parsed.get_backend_name() not in ("sqlite", "mysql", "mariadb"):
        raise InvalidDatabaseUrl(f"{parsed.get_backend_name()} is not supported; use sqlite or mysql+pymysql")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InvalidDatabaseUrl("a database in memory would lose every deployment; name a file: sqlite:////path")
    return parsed


def make_engine(url: str | URL, channel: Channel | None = None, *, migrating: bool = False) -> Engine:
    """Returns an engine with our settings for its kind; raises InvalidDatabaseUrl, and UnusableCertificate.

    Args:
        url: where the database is.
        channel: how its server is reached.
        migrating: for the `db` commands, whose statements may take long.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        engine = create_engine(
            parsed,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            pool_recycle=3600,
            pool_size=8,
            hide_parameters=True,
            connect_args=connect_arguments(migrating=migrating),
        )
        return lead(engine, channel)
    # A deployment of 10,000 nodes writes 3 MiB: in SQLite's own 2 MiB, pages would go and come back.
    return open_sqlite(parsed, busy_seconds=BUSY_SECONDS, writes=True, cache_kib=32768)


def _worth_another_try(error: OperationalError | IntegrityError | InternalError) -> bool:
    if isinstance(error, IntegrityError):
        return True
    original = error.orig
    if isinstance(original, sqlite3.OperationalError):
        return original.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    code = original.args[0] if original is not None and original.args else None
    return code in (MYSQL_CHANGED, MYSQL_LOCK_TIMEOUT, MYSQL_DEADLOCK)


class Database:
    """Runs work in transactions, off the event loop.

    On SQLite one thread writes: rivals inside this process then queue in order, instead of polling for the file's lock.
    """

    def __init__(self, url: str | URL, channel: Channel | None = None) -> None:
        self.engine = make_engine(url, channel)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # A reader sees one moment; that is how SQLite always does it.
        moment: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reading = self.engine.execution_options(**{WRITES: False}, **moment)
        self._writers = ThreadPoolExecutor(1 if self.is_sqlite else 4, thread_name_prefix="db-write")
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="db-read")
        self._reserve: SpaceReserve | None = None

    def reserve_space(self) -> None:
        """Keeps room on the disk of SQLite, so that deployments can end when it is full."""
        self._reserve = SpaceReserve(self.engine)

    async def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """Runs work that only reads, in one transaction that sees one moment."""
        return await self._submit(self._readers, self._reading, work)

    async def write(
        self, work: Callable[[Connection], _Result], *, patience: float = 0.0, grows: bool = False
    ) -> _Result:
        """Runs work in one transaction that is durable when this returns.

        Args:
            work: what is done.
            patience: for how many seconds it is tried again while the database does not answer.
            grows: whether it begins something new: on a full disk only what ends something gets the reserve.

        Raises:
            StoreUnreachable: nobody knows whether it is done; who reads it later finds out.
            StoreFull, StoreDamaged: it is not done.
        """
        deadline = time.monotonic() + patience
        broken = False
        while True:
            try:
                return await self._submit(self._writers, self.engine, work, grows=grows)
            except StoreFailed as error:
                # After an answer that was lost, the row that is in the way is our own: it was committed before.
                written_before = broken and isinstance(error.__cause__, IntegrityError)
                if written_before or time.monotonic() >= deadline:
                    raise
                broken = True
                logger.warning("%s; trying again", error.message)
            await asyncio.sleep(OUTAGE_PAUSE)

    async def _submit(
        self, pool: ThreadPoolExecutor, engine: Engine, work: Callable[[Connection], _Result], *, grows: bool = False
    ) -> _Result:
        loop = asyncio.get_running_loop()
        for number in range(TRIES):
            try:
                return await loop.run_in_executor(pool, functools.partial(self._run, engine, work, grows=grows))
            except DatabaseFull as error:
                raise StoreFull(error.message, metadata=error.metadata) from error
            except DatabaseDamaged as error:
                raise StoreDamaged(error.message, metadata=error.metadata) from error
            except InterfaceError as error:
                # The driver found its connection gone before it said anything.
                raise StoreUnreachable(f"the connection to the database broke: {last_words(error.orig)}") from error
            except (OperationalError, IntegrityError, InternalError) as error:
                if not _worth_another_try(error):
                    if isinstance(error, IntegrityError):
                        raise
                    raise StoreUnreachable(f"the database does not answer: {last_words(error.orig)}") from error
                if number + 1 == TRIES:
                    raise StoreUnreachable(f"the database is too busy: {last_words(error.orig)}") from error
            # Not in step with the rival, or both meet again.
            await asyncio.sleep(FIRST_PAUSE * 2**number * (0.5 + random.random()))  # noqa: S311 - no secret
        raise AssertionError

    def _run(self, engine: Engine, work: Callable[[Connection], _Result], *, grows: bool) -> _Result:
        """Runs work in one transaction; with the reserve's room where the disk is full and something is to end."""
        return run_within(self._reserve, lambda: _transact(engine, work), grows=grows)

    def close(self) -> None:
        """Ends the threads and closes all connections."""
        self._writers.shutdown()
        self._readers.shutdown()
        self.engine.dispose()


def _transact(engine: Engine, work: Callable[[Connection], _Result]) -> _Result:
    with whole_rows(engine.url), engine.begin() as connection:
        return work(connection)
