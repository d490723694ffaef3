"""The file of an SQLite database at the start of a service: made once, and never taken for a first start again.

Beside each database stands a marker, `deploy.db.marker`, from its first start on. A database that is missing, empty or
without tables is made only where there is no marker: a fresh site needs no configuration, and one that lost its
database is told. `db init` makes a new one on purpose.
"""

import contextlib
import logging
import os
import secrets
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL

from kadeploy_database.failures import NO_ROOM, DatabaseDamaged, DatabaseFull, is_full, one_line
from kadeploy_database.space_reserve import RESERVE_SUFFIX
from kadeploy_edge.errors import DomainError, Missing

logger = logging.getLogger(__name__)

MARKER_SUFFIX: Final = ".marker"
LOG_SUFFIXES: Final = ("-wal", "-journal")
SIDE_SUFFIXES: Final = (*LOG_SUFFIXES, "-shm", MARKER_SUFFIX, RESERVE_SUFFIX)
OWNER_ONLY: Final = 0o600
NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_OPEN: Final = 0o640
CHECK_SECONDS: Final = 10.0
"""How long the pages are looked at before a start; what is left then is found by `db check`, which has no bound."""
BUSY_SECONDS: Final = 10.0
_STEPS = 20_000


class DatabaseLost(Missing):
    """A database that was there is gone, or has lost its content."""

    reason = "DATABASE_LOST"

    def __init__(self, path: Path, what: str, program: str) -> None:
        super().__init__(
            f"the database {path} {what}: restore it from a backup, or, where its content may be lost, let "
            f"`{program} db init` make a new one",
            metadata={"path": str(path)},
        )


class UnusableDatabase(Missing):
    """The path of a database leads to something else, or cannot be reached."""

    reason = "UNUSABLE_DATABASE"

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"the database {path} {what}", metadata={"path": str(path)})


def prepare(path: Path, *, program: str, anew: bool = False) -> None:
    """Makes a database where a first start may, and looks at one that is there.

    Args:
        path: of the database.
        program: whose `db init` is named to the administrator.
        anew: whether a new one may take the place of one that is gone, as `db init` wants.

    Raises:
        DatabaseLost: it was there and is missing, empty or without tables.
        DatabaseDamaged: it is no SQLite file, or pages are damaged.
        DatabaseFull: there is no room to make or open it.
        UnusableDatabase: the path cannot be reached, or leads to no file.
    """
    with _explained(path):
        if not path.parent.exists():
            path.parent.mkdir(parents=True, mode=0o750)
        lost = _lost(path)
        if lost:
            _check_leftovers(path)
            if not anew and (_marker(path).exists() or path.exists()):
                raise DatabaseLost(path, lost, program)
            _make(path)
            logger.info("database=%s made", path)
        narrow(path)
        if not lost and not _has_tables(path, seconds=CHECK_SECONDS) and _marker(path).exists() and not anew:
            raise DatabaseLost(path, "has lost its tables", program)


def mark(path: Path) -> None:
    """Notes that a database was made, so that its loss is noticed."""
    marker = _marker(path)
    if marker.exists():
        return
    text = f"{path.name} was made here. While this file stands, a missing database is not taken for a first start.\n"
    try:
        with os.fdopen(os.open(marker, NEW_FILE, OWNER_ONLY), "w") as file:
            _give_to_owner_of_directory(file.fileno(), marker)
            file.write(text)
    except OSError as error:
        # The file's existence is what counts, and no reason not to serve.
        logger.warning("path=%s cannot be written: %s", marker, error.strerror)


def narrow(path: Path) -> None:
    """Takes from others what they may do with a database and the files beside it, and says so."""
    for each in (path, *(path.with_name(path.name + suffix) for suffix in SIDE_SUFFIXES)):
        try:
            if each != path and each.is_symlink():
                continue
            mode = stat.S_IMODE(each.stat().st_mode)
            if mode & ~MOST_OPEN:
                each.chmod(mode & MOST_OPEN)
                logger.warning(
                    "path=%s had mode %04o, which let others in; it has %04o now", each, mode, mode & MOST_OPEN
                )
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.warning("path=%s is open to others (%04o) and cannot be closed: %s", each, mode, error.strerror)


def problems(path: Path, *, program: str) -> list[str]:
    """Returns a sentence for each thing that is wrong with the file or its pages; nothing is made or changed.

    Raises UnusableDatabase.
    """
    with _explained(path):
        lost = _lost(path)
        if lost and (_marker(path).exists() or path.exists()):
            return [DatabaseLost(path, lost, program).message]
        if lost:
            return [f"{path} is not there yet: the first start makes it, and so does `{program} db upgrade`"]
        return [f"{each}: restore it from a backup" for each in _damages(path)]


def _damages(path: Path) -> list[str]:
    """Returns what SQLite finds wrong in the pages of a database, however long it takes."""
    with contextlib.closing(_connect(path)) as connection:
        try:
            found = [one_line(str(row[0])) for row in connection.execute("PRAGMA integrity_check(10)")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
    return [] if found == ["ok"] else found


def _lost(path: Path) -> str:
    """Returns in words why there is no database; empty where there is a file with content."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return "was here and is missing"
    if not stat.S_ISREG(status.st_mode):
        raise UnusableDatabase(path, "is no file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise UnusableDatabase(path, f"belongs to user {status.st_uid}, and this one may not read and write it")
    return "" if status.st_size else "is empty"


def _check_leftovers(path: Path) -> None:
    for suffix in LOG_SUFFIXES:
        left = path.with_name(path.name + suffix)
        if left.exists() and left.stat().st_size:
            what = f"is missing or empty, but {left} has changes of it: restore both together, or move {left.name} away"
            raise UnusableDatabase(path, what)


def _make(path: Path) -> None:
    """Makes an empty database in one step: a start that is cut off leaves a whole one, or none."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        number = os.open(temporary, NEW_FILE, OWNER_ONLY)
        try:
            _give_to_owner_of_directory(number, temporary)
        finally:
            os.close(number)
        with contextlib.closing(_connect(temporary)) as connection:
            connection.execute("PRAGMA journal_mode = WAL").close()
        if path.exists():
            temporary.replace(path)
        else:
            with contextlib.suppress(FileExistsError):  # another process was faster: its database is as good
                os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _give_to_owner_of_directory(number: int, path: Path) -> None:
    """Lets root make what the service is to write. By its number: the owner may put a link under the name."""
    if os.geteuid() == 0:
        status = path.parent.stat()
        os.fchown(number, status.st_uid, status.st_gid)


def _has_tables(path: Path, *, seconds: float) -> bool:
    """Looks at the pages for a while, and returns whether there are tables. Raises sqlite3.DatabaseError."""
    deadline = time.monotonic() + seconds
    with contextlib.closing(_connect(path)) as connection:
        has_tables = bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            logger.info("database=%s is too large to be looked at wholly in %.0f s; `db check` does it", path, seconds)
        else:
            if found != "ok":
                raise DatabaseDamaged.of(_url(path), str(found))
    return has_tables


def _connect(path: Path) -> sqlite3.Connection:
    # Never makes a file: whoever takes it away in between is told.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)
    connection.isolation_level = None
    connection.execute("PRAGMA trusted_schema = OFF").close()
    return connection


def _marker(path: Path) -> Path:
    return path.with_name(path.name + MARKER_SUFFIX)


def _url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DatabaseFull.of(_url(path)) from error
        raise UnusableDatabase(path, f"cannot be opened: {error.filename or path}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise _sqlite_failure(path, error) from error


def _sqlite_failure(path: Path, error: sqlite3.Error) -> DomainError:
    if is_full(error, path):
        return DatabaseFull.of(_url(path))
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return DatabaseDamaged.of(_url(path), "the file is no SQLite database")
    if isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_IOERR:
        return UnusableDatabase(path, f"cannot be opened: {error}")
    return DatabaseDamaged.of(_url(path), str(error))
