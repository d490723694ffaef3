"""Makes the database and the accounts of a service on MariaDB, each with the privileges that it needs and no others.

The service's account reads and writes rows. The migration account changes tables besides; only `db init` and
`db upgrade` use it. Both know one database, and over TLS both demand the service's certificate besides the password.
Running it twice changes nothing, and repairs what somebody changed.
"""

import os
import pwd
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pymysql

from kadeploy_database.access import Account, DatabaseAccess, MariadbAccess
from kadeploy_edge.errors import Denied, Invalid, Unreachable
from kadeploy_edge.private_file import check_private, read_private

ROWS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
TABLES: Final = frozenset({"CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"})
PASSWORD_BYTES: Final = 24
CONNECT_SECONDS: Final = 10
DEFAULT_SOCKET: Final = Path("/run/mysqld/mysqld.sock")
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

ACCESS_DENIED: Final = frozenset({1044, 1045, 1142, 1227, 1698})


class DatabaseServerUnreachable(Unreachable):
    """The database server does not answer."""

    reason = "DATABASE_SERVER_UNREACHABLE"


class NotDatabaseAdministrator(Denied):
    """The server does not let us make databases and accounts."""

    reason = "NOT_DATABASE_ADMINISTRATOR"


class UnknownOwner(Invalid):
    """The user who is to get the password files does not exist."""

    reason = "UNKNOWN_OWNER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Administrator:
    """How `db init` gets at the server.

    Attributes:
        defaults_file: an option file whose section [client] has user and password; None: the Unix socket, as the user
            of this process, as Debian's MariaDB lets root in.
        hosts: from where the accounts may connect; empty: from where the settings say that they do.
        owner: the user who gets the password file of the service's account; empty: who runs this.
    """

    defaults_file: Path | None = None
    hosts: tuple[str, ...] = ()
    owner: str = ""


def make_accounts(access: DatabaseAccess, administrator: Administrator) -> Sequence[str]:
    """Makes what is missing and returns what was done, a line each. SQLite needs nothing."""
    if not isinstance(access, MariadbAccess):
        return ()
    done: list[str] = []
    if _make_password(access.account, owner=administrator.owner):
        done.append(f"wrote a new password to {access.account.password_file}")
    if _make_password(access.migration, owner=""):
        done.append(f"wrote a new password to {access.migration.password_file}")
    hosts = administrator.hosts or _hosts(access)
    subject = access.channel.subject
    with _cursor(access, administrator) as cursor:
        if cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (access.database,)) == 0:
            cursor.execute(f"CREATE DATABASE `{access.database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
            done.append(f"made the database {access.database}")
        for account, wanted in ((access.account, ROWS), (access.migration, ROWS | TABLES)):
            for host in hosts:
                done.extend(_let_in(cursor, account, host, subject))
                done.extend(_grant(cursor, account, host, access.database, wanted))
    return done


def _let_in(cursor: Any, account: Account, host: str, subject: str) -> Iterator[str]:
    """Makes one account and brings what it demands of who logs in to its password and, with TLS, its certificate."""
    # One argument each: the driver quotes it, and nothing with a password is built from strings.
    who = (account.user, host)
    password = read_private(account.password_file)
    cursor.execute("CREATE USER IF NOT EXISTS %s@%s IDENTIFIED BY %s", (*who, password))
    cursor.execute("SELECT ssl_type, x509_subject FROM mysql.user WHERE user = %s AND host = %s", who)
    before = tuple(_text(value) for value in cursor.fetchone())
    if subject:
        cursor.execute("ALTER USER %s@%s IDENTIFIED BY %s REQUIRE SUBJECT %s", (*who, password, subject))
        if before != ("SPECIFIED", subject):
            yield f"{account.user}@{host} now demands the certificate of {subject}"
    else:
        cursor.execute("ALTER USER %s@%s IDENTIFIED BY %s REQUIRE NONE", (*who, password))
        if before[0]:
            yield f"{account.user}@{host} demands no certificate any more"


def _grant(cursor: Any, account: Account, host: str, database: str, wanted: frozenset[str]) -> Iterator[str]:
    """Brings the privileges of one account on one database to what is wanted."""
    who = (account.user, host)
    # An underscore stands for any letter in a grant, and deploy_right is not deployXright.
    pattern = database.replace("_", "\\_")
    cursor.execute(
        "SELECT privilege_type FROM information_schema.schema_privileges"
        " WHERE grantee = %s AND table_schema IN (%s, %s)",
        (f"'{account.user}'@'{host}'", database, pattern),
    )
    present = frozenset(row[0] for row in cursor.fetchall())
    if present - wanted:
        for name in {database, pattern}:
            # Of two spellings only one was granted, and the server refuses to revoke the other.
            try:
                cursor.execute(f"REVOKE ALL PRIVILEGES ON `{name}`.* FROM %s@%s", who)
            except pymysql.err.OperationalError as error:
                if error.args[0] != pymysql.constants.ER.NONEXISTING_GRANT:
                    raise
        yield f"took {', '.join(sorted(present - wanted))} on {database} from {account.user}@{host}"
        present = frozenset()
    if wanted - present:
        cursor.execute(f"GRANT {', '.join(sorted(wanted))} ON `{pattern}`.* TO %s@%s", who)
        yield f"gave {', '.join(sorted(wanted))} on {database} to {account.user}@{host}"


def _hosts(access: MariadbAccess) -> tuple[str, ...]:
    if access.socket is not None:
        return ("localhost",)
    # With and without name resolution the server sees the same caller under another name.
    return ("localhost", "127.0.0.1") if access.host in LOOPBACK else ("%",)


def _make_password(account: Account, *, owner: str) -> bool:
    """Writes a password for an account that has none yet; a file that is there is kept."""
    path = account.password_file
    if path.exists():
        check_private(path)
        return False
    uid = _uid(owner) if owner else -1
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(number, "w", encoding="ascii") as file:
        os.fchown(number, uid, -1)
        file.write(f"{secrets.token_urlsafe(PASSWORD_BYTES)}\n")
    return True


def _uid(owner: str) -> int:
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise UnknownOwner(f"--owner: there is no user {owner} on this host", metadata={"user": owner}) from None


@contextmanager
def _cursor(access: MariadbAccess, administrator: Administrator) -> Iterator[Any]:
    """Yields a cursor of the administrator; turns the server's refusals into sentences without secrets."""
    try:
        with _connect(access, administrator) as connection, connection.cursor() as cursor:
            yield cursor
    except pymysql.err.MySQLError as error:
        code, text = (*error.args, "", "")[:2]
        where = str(
            access.socket or (f"{access.host}:{access.port}" if administrator.defaults_file else DEFAULT_SOCKET)
        )
        if code in ACCESS_DENIED:
            raise NotDatabaseAdministrator(
                f"the database server at {where} refuses: {text}; name an administrator with --admin-defaults-file",
                metadata={"server": where},
            ) from None
        raise DatabaseServerUnreachable(
            f"the database server at {where} does not do it: {text}", metadata={"server": where}
        ) from None


def _connect(access: MariadbAccess, administrator: Administrator) -> Any:
    """Returns a connection as the administrator, over a socket or with the protection that the service's has."""
    if administrator.defaults_file is None:
        socket = access.socket or DEFAULT_SOCKET
        return pymysql.connect(
            unix_socket=str(socket), autocommit=True, connect_timeout=CONNECT_SECONDS, ssl_disabled=True
        )
    check_private(administrator.defaults_file)
    return access.channel.connect(
        read_default_file=str(administrator.defaults_file),
        host=access.host,
        port=access.port,
        unix_socket=str(access.socket) if access.socket else None,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
    )


def _text(value: Any) -> str:
    # These columns are blobs on some servers.
    return value.decode() if isinstance(value, bytes) else str(value or "")
