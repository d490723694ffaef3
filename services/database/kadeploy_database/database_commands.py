"""What `kadeploy-SERVICE db …` does: makes, migrates and checks the databases of a service."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from kadeploy_database import sqlite_file
from kadeploy_database.access import Account, DatabaseAccess, MariadbAccess, SqliteAccess
from kadeploy_database.accounts import ROWS, TABLES, Administrator, DatabaseServerUnreachable, make_accounts
from kadeploy_database.channel import Channel, last_words
from kadeploy_database.privileges import demanded_subject, encryption, findings
from kadeploy_database.table_findings import table_findings

SUCCESS, FAILURE = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Databases:
    """What a service has, and how its tables are looked after.

    Attributes:
        program: "kadeploy-inventory".
        accesses: the access to each database, by the database's name.
        open_engine: opens a database.
        upgrade: brings the tables of opened databases to the present version.
        outdated: returns a sentence for each opened database whose tables are of another version.
        tables: the tables of each database as the present version makes them.
    """

    program: str
    accesses: Mapping[str, DatabaseAccess]
    open_engine: Callable[[URL, Channel | None], Engine]
    upgrade: Callable[[Mapping[str, Engine]], None]
    outdated: Callable[[Mapping[str, Engine]], Sequence[str]]
    tables: Mapping[str, MetaData]


def init(databases: Databases, administrator: Administrator) -> int:
    """Makes what is missing: databases and accounts on MariaDB, files on SQLite, tables on both. Returns the status."""
    for access in databases.accesses.values():
        for line in make_accounts(access, administrator):
            sys.stdout.write(f"{line}\n")
    return upgrade(databases, anew=True) or check(databases)


def upgrade(databases: Databases, *, anew: bool = False) -> int:
    """Brings the tables to the present version, as the migration account. Returns the status.

    Args:
        databases: what the service has.
        anew: whether a new SQLite database may take the place of one that is gone.
    """
    prepare_files(databases.accesses, program=databases.program, anew=anew)
    urls = {name: access.migration_url for name, access in databases.accesses.items()}
    with _opened(databases, urls) as engines:
        databases.upgrade(engines)
        status = _complain(databases, databases.outdated(engines))
    if status == SUCCESS:
        mark_files(databases.accesses)
        sys.stdout.write(f"the tables are of this release: {', '.join(databases.accesses)}\n")
    return status


def check(databases: Databases) -> int:
    """Says how the databases are reached, and what is wrong with tables and accounts. Returns the status."""
    if _complain(databases, list(_wrong_files(databases))):
        return FAILURE
    with _opened(databases, {name: access.url for name, access in databases.accesses.items()}) as engines:
        status = _complain(databases, databases.outdated(engines) or _differences(databases, engines))
        for name, access in databases.accesses.items():
            if isinstance(access, MariadbAccess):
                with _asking(name, engines[name]) as connection:
                    sys.stdout.write(f"the database {name}: {_way(connection, access)}\n")
                found = [*_judge(databases, name, access, access.account)]
                found += _judge(databases, name, access, access.migration)
                status |= _complain(databases, [f"{one}: run `{databases.program} db init`" for one in found])
    if status == SUCCESS:
        sys.stdout.write(f"all is as this release needs it: {', '.join(databases.accesses)}\n")
    return status


def prepare_files(accesses: Mapping[str, DatabaseAccess], *, program: str, anew: bool = False) -> None:
    """Makes SQLite databases where a first start may, and looks at those that are there: `sqlite_file.prepare`."""
    for access in accesses.values():
        if isinstance(access, SqliteAccess):
            sqlite_file.prepare(access.path, program=program, anew=anew)


def mark_files(accesses: Mapping[str, DatabaseAccess]) -> None:
    """Notes of each SQLite database that it was made."""
    for access in accesses.values():
        if isinstance(access, SqliteAccess):
            sqlite_file.mark(access.path)


def _wrong_files(databases: Databases) -> Iterator[str]:
    for name, access in databases.accesses.items():
        if isinstance(access, SqliteAccess):
            for problem in sqlite_file.problems(access.path, program=databases.program):
                yield f"the database {name}: {problem}"


def _differences(databases: Databases, engines: Mapping[str, Engine]) -> Sequence[str]:
    found: list[str] = []
    for name, engine in engines.items():
        with _asking(name, engine) as connection:
            found += table_findings(connection, name, databases.tables[name])
    return [f"{one}: somebody changed it; restore the database from a backup" for one in found]


@contextmanager
def closing(engines: Mapping[str, Engine]) -> Iterator[Mapping[str, Engine]]:
    """Yields engines and closes their connections at the end."""
    try:
        yield engines
    finally:
        for engine in engines.values():
            engine.dispose()


@contextmanager
def _opened(databases: Databases, urls: Mapping[str, URL]) -> Iterator[Mapping[str, Engine]]:
    opened = {name: databases.open_engine(url, databases.accesses[name].channel) for name, url in urls.items()}
    with closing(opened) as engines:
        yield engines


def _judge(databases: Databases, name: str, access: MariadbAccess, account: Account) -> Sequence[str]:
    """Returns what is wrong with an account, found out by logging in as it, if its password is ours to read."""
    is_migration = account == access.migration
    if is_migration and not os.access(account.password_file, os.R_OK):
        reason = f"{account.password_file} is not ours to read"
        sys.stdout.write(f"the database {name}: {account.user} is not looked at: {reason}\n")
        return ()
    engine = databases.open_engine(access.migration_url if is_migration else access.url, access.channel)
    with closing({name: engine}), _asking(name, engine) as connection:
        return findings(connection, access, account, ROWS | TABLES if is_migration else ROWS)


def _way(connection: Connection, access: MariadbAccess) -> str:
    """Returns how a connection reaches its database."""
    channel = access.channel
    if access.socket is not None:
        return f"reached by the socket {channel.server}"
    found = encryption(connection)
    if not found:
        return f"reached at {channel.server} in PLAIN TEXT"
    demanded = demanded_subject(connection)
    whose = f"demands the certificate of {demanded}" if demanded else "demands no certificate"
    return f"reached at {channel.server}, encrypted with {found}; {access.account.user} {whose}"


@contextmanager
def _asking(name: str, engine: Engine) -> Iterator[Connection]:
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        message = f"the database {name} does not answer: {last_words(error.orig)}"
        raise DatabaseServerUnreachable(message, metadata={"database": name}) from error


def _complain(databases: Databases, sentences: Sequence[str]) -> int:
    for sentence in sentences:
        sys.stderr.write(f"{databases.program}: {sentence}\n")
    return FAILURE if sentences else SUCCESS
