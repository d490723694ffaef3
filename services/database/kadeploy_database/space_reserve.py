"""Room on the disk of an SQLite database that is kept for what must be written when the disk is full.

The reserve is a file beside the database. When a write finds no room, the file is removed and the write is done again:
so a deployment can end, a right can be taken away, a node can be deleted. What only makes the database grow is refused
from then on, until there is room to put the file back.
"""

import contextlib
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Engine

from kadeploy_database.failures import DatabaseFull, free_bytes, sqlite_path

_Result = TypeVar("_Result")

logger = logging.getLogger(__name__)

RESERVE_SUFFIX: Final = ".reserve"
RESERVE_BYTES: Final = 8 << 20
"""The end of a deployment of 10,000 nodes takes 7 MiB, in the log and in the database."""
LEAST_BYTES: Final = 64 << 10
SHARE: Final = 8
"""On a small disk the reserve is this part of what is free."""


class SpaceReserve:
    """The reserve of one database. `engine`: of an SQLite file; on a server the reserve does nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._database = sqlite_path(engine.url)
        self._lock = threading.Lock()
        self._path: Path | None = None
        if self._database is None:
            return
        self._path = self._database.with_name(self._database.name + RESERVE_SUFFIX)
        self._size = max(LEAST_BYTES, min(RESERVE_BYTES, free_bytes(self._path.parent) // SHARE))
        if not self.restore():
            logger.error("path=%s there is no room for the reserve: the disk is nearly full", self._path)

    def admit_growth(self) -> None:
        """Raises DatabaseFull while the reserve is used up and there is no room for another."""
        if not self.restore():
            raise DatabaseFull.of(self._engine.url)

    def restore(self) -> bool:
        """Puts the file in its place unless it is there; returns whether it is there.

        It takes twice the room, so that it is not made of what it has just given up.
        """
        if self._path is None or self._path.exists():
            return True
        with self._lock:
            if free_bytes(self._path.parent) < 2 * self._size:
                return False
            return _allocate(self._path, self._size)

    def make_room(self) -> Iterator[None]:
        """Yields after each thing that makes room: the log moved into the database, then the reserve given up.

        A log whose changes were moved is written from its beginning again.
        """
        if self._path is None:
            return
        self._tidy_log()
        yield
        with contextlib.suppress(OSError):
            self._path.unlink()
            logger.error(
                "path=%s the disk is full: what ends or deletes is written from the reserve", self._path.parent
            )
            self._tidy_log()
            yield

    def _tidy_log(self) -> None:
        """Moves the changes in the write-ahead log into the database."""
        try:
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").close()
            finally:
                connection.close()
        except sqlite3.Error as error:
            logger.warning("path=%s the write-ahead log stays as it is: %s", self._database, error)


def run_within(reserve: SpaceReserve | None, change: Callable[[], _Result], *, grows: bool) -> _Result:
    """Makes a change of a database, once more after each thing that makes room where that is due to it.

    Args:
        reserve: of the database.
        change: one transaction.
        grows: whether it only makes the database grow: such a change leaves the reserve to others.

    Raises:
        DatabaseFull: there is no room; nothing was changed.
    """
    if reserve is None:
        return change()
    if grows:
        reserve.admit_growth()
        return change()
    try:
        return change()
    except DatabaseFull as error:
        failure = error
    for _ in reserve.make_room():
        try:
            return change()
        except DatabaseFull as error:
            failure = error
    raise failure


def _allocate(path: Path, size: int) -> bool:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        logger.warning("path=%s the reserve cannot be made: %s", path, error.strerror)
        return False
    return True
