"""What a driver's error means beyond "the database does not answer": a full disk, or a database that is damaged."""

import errno
import json
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from pymysql.constants import ER
from sqlalchemy import Engine, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DBAPIError, ProgrammingError

from kadeploy_edge.errors import Exhausted, Unreachable

PROBE_BYTES: Final = 64 * 1024
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

# What SQLite says of a file whose content is not what it wrote, or that is not the file that it opened.
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_DAMAGED_IN_DETAIL: Final = frozenset(
    {sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS, sqlite3.SQLITE_READONLY_DBMOVED}
)
# SQLite reports a full disk by these, too, where it makes room for its index of the log; and a quota that is used up.
_PERHAPS_FULL: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_TABLE_AWAY: Final = re.compile(r"no such (table|column)|Could not decode to UTF-8")

_SERVER_FULL: Final = frozenset({ER.DISK_FULL, ER.RECORD_FILE_FULL})
# The server's own words when an engine or its binary log got this answer of the system: ENOSPC and EDQUOT.
_SERVER_FULL_WORDS: Final = re.compile(r"(Errcode: |error )(28|122)\b")
_INDEX_CORRUPT, _TABLE_CORRUPT, _NO_TABLE_IN_ENGINE = 1712, 1877, 1932
_SERVER_TABLE_AWAY: Final = frozenset({ER.NO_SUCH_TABLE, ER.BAD_FIELD_ERROR})
_SERVER_DAMAGED: Final = frozenset(
    {
        ER.NOT_KEYFILE,
        ER.CRASHED_ON_USAGE,
        ER.CRASHED_ON_REPAIR,
        _INDEX_CORRUPT,
        _TABLE_CORRUPT,
        _NO_TABLE_IN_ENGINE,
    }
)


class DatabaseFull(Exhausted):
    """The disk of the database has no room; nothing was written."""

    reason = "DISK_FULL"

    @classmethod
    def of(cls, url: URL) -> "DatabaseFull":
        """Returns the error for one database."""
        path = sqlite_path(url)
        if path is not None:
            where = str(path.parent)
            sentence = f"the disk of {where} is full, so nothing was written to the database {path.name}"
        else:
            where = server_of(url)
            sentence = (
                f"the disk of the server at {where} is full, so nothing was written to its database {url.database}"
            )
        return cls(f"{sentence}: make room there", metadata={"place": where})


class DatabaseDamaged(Unreachable):
    """The database is there, but its content is not what was written."""

    reason = "DATABASE_DAMAGED"

    @classmethod
    def of(cls, url: URL, what: str) -> "DatabaseDamaged":
        """Returns the error for one database. `what`: the damage, in a few words."""
        path = sqlite_path(url)
        place = str(path) if path is not None else f"{url.database} at {server_of(url)}"
        what = one_line(what)
        advice = "stop the service and restore the database from a backup (`db check` says more)"
        return cls(f"the database {place} is damaged ({what}): {advice}", metadata={"place": place})


def explain_failures(engine: Engine) -> Engine:
    """Makes every use of an engine raise DatabaseFull and DatabaseDamaged in place of the driver's errors."""

    @event.listens_for(engine, "handle_error")
    def explain(context: ExceptionContext) -> None:
        error, url = context.original_exception, engine.url
        if not isinstance(context.sqlalchemy_exception, DBAPIError):
            return
        if is_full(error, sqlite_path(url)):
            raise DatabaseFull.of(url)
        if is_damaged(error):
            raise DatabaseDamaged.of(url, str(error.args[-1]) if error.args else type(error).__name__)

    return engine


@contextmanager
def whole_rows(url: URL) -> Iterator[None]:
    """Turns what damaged rows and missing tables do to a transaction into DatabaseDamaged.

    SQLite has no sums of its pages, so damage inside of a document shows itself when that is read. A missing table is
    looked for here, not in every use of the engine, because SQLAlchemy itself asks for tables that need not be there.
    """
    try:
        yield
    except json.JSONDecodeError as error:
        raise DatabaseDamaged.of(url, "a document in a row cannot be read") from error
    except ProgrammingError as error:
        number, words = _number_and_words(error.orig)
        if number not in _SERVER_TABLE_AWAY:
            raise
        raise DatabaseDamaged.of(url, words) from error


def is_full(error: BaseException | None, path: Path | None) -> bool:
    """Returns whether a driver's error comes from a full disk. `path`: of an SQLite database."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return code == sqlite3.SQLITE_FULL or (code in _PERHAPS_FULL and path is not None and not has_room(path.parent))
    number, words = _number_and_words(error)
    return number in _SERVER_FULL or bool(_SERVER_FULL_WORDS.search(words))


def is_damaged(error: BaseException | None) -> bool:
    """Returns whether a driver's error comes from damaged pages, or from tables that are gone."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in _DAMAGED or code in _DAMAGED_IN_DETAIL:
            return True
        return isinstance(error, sqlite3.OperationalError) and bool(_TABLE_AWAY.search(str(error)))
    return _number_and_words(error)[0] in _SERVER_DAMAGED


def one_line(finding: str) -> str:
    """Returns what SQLite found in the pages, which it tells in several lines, on one."""
    return " ".join(finding.replace("*** in database main ***", "").split())


def has_room(directory: Path) -> bool:
    """Returns whether a small file can be written in a directory: also a quota, or a lack of inodes, is a full disk."""
    try:
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
            return file.write(bytes(PROBE_BYTES)) == PROBE_BYTES
    except OSError as error:
        return error.errno not in NO_ROOM


def sqlite_path(url: URL) -> Path | None:
    """Returns the file of an SQLite database; None for a server, or for a database in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(unquote(url.database.removeprefix("file:")) if "uri" in url.query else url.database)


def server_of(url: URL) -> str:
    """Returns where a server is, for messages."""
    socket = url.query.get("unix_socket")
    return str(socket) if socket else f"{url.host or 'localhost'}:{url.port or 3306}"


def free_bytes(directory: Path) -> int:
    """Returns how much an ordinary user may still write on the disk of a directory; 0 where nobody can say."""
    with suppress(OSError):
        found = os.statvfs(directory)
        return found.f_bavail * found.f_frsize
    return 0


def _number_and_words(error: BaseException | None) -> tuple[object, str]:
    arguments = error.args if error is not None else ()
    return (arguments[0] if arguments else None), (str(arguments[-1]) if arguments else "")
