"""The access to a database, as a section of the settings says it.

    database.deploy = "deploy.db"               SQLite, in a file

    [database.deploy]                           MariaDB
    engine = "mariadb"
    host = "db.example.org"                     or socket = "/run/mysqld/mysqld.sock"
    port = 3306
    name = "deploy"
    user = "kadeploy_inventory"
    password_file = "/etc/kadeploy/deploy.password"
    migration_user = "kadeploy_inventory_migration"
    migration_password_file = "/etc/kadeploy/deploy.password.migration"
    ca = "/etc/kadeploy/tls/ca.pem"             these three: as in [tls], unless the site says another
    certificate = "/etc/kadeploy/tls/certificate.pem"
    private_key = "/etc/kadeploy/tls/private_key.pem"

`channel_settings` has the rules for the last three.
Passwords stand in files of their own. They are read when an engine is made, and are in no setting, log or message.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy.engine import URL

from kadeploy_database.channel import Channel
from kadeploy_database.channel_settings import read_protection
from kadeploy_edge.private_file import UnusablePrivateFile, read_private
from kadeploy_edge.settings_file import Table
from kadeploy_edge.tls import TlsFiles

DEFAULT_HOST: Final = "localhost"
DEFAULT_PORT: Final = 3306
LAST_PORT: Final = 65535
ENGINES: Final = ("sqlite", "mariadb")

# What both servers take for an account and a database, and what needs no quoting that could go wrong.
_USER = re.compile(r"[A-Za-z0-9_.-]{1,32}\Z")
_DATABASE = re.compile(r"[A-Za-z0-9_]{1,64}\Z")
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteAccess:
    """A database in a file, which only its owner gets at."""

    path: Path

    @property
    def url(self) -> URL:
        """Where the engine finds it. Opening it never makes it: `sqlite_file.prepare` does that, at a first start."""
        return URL.create("sqlite", database=f"file:{quote(str(self.path))}", query={"mode": "rw", "uri": "true"})

    @property
    def migration_url(self) -> URL:
        """The same: a file has no accounts."""
        return self.url

    @property
    def channel(self) -> None:
        """None: nothing carries anything anywhere."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account of a MariaDB server."""

    user: str
    password_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MariadbAccess:
    """A database on a server.

    Attributes:
        database: its name there.
        account: the service's, which reads and writes rows.
        migration: the account that makes and changes tables, used by `db upgrade` only.
        host: the server, unless there is a socket.
        port: the server's.
        socket: its Unix socket.
        tls: what TCP is protected with; without it there is a socket, or plain text on loopback that was asked for.
        setting: the table that says so, for messages.
    """

    database: str
    account: Account
    migration: Account
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    socket: Path | None = None
    tls: TlsFiles | None = None
    setting: str = field(default="database", compare=False)

    @property
    def channel(self) -> Channel:
        """How connections are made."""
        server = str(self.socket or f"{self.host}:{self.port}")
        insecure = self.socket is None and self.tls is None
        return Channel(setting=self.setting, server=server, tls=self.tls, insecure=insecure)

    @property
    def url(self) -> URL:
        """Where the engine finds it, as the service. Reads the password; raises UnusablePrivateFile."""
        return self._url(self.account)

    @property
    def migration_url(self) -> URL:
        """Where the engine finds it, as the one who may change tables. Raises UnusablePrivateFile."""
        return self._url(self.migration)

    def _url(self, account: Account) -> URL:
        if not account.password_file.exists():
            what = f"{account.password_file} is not there: `db init` makes the account {account.user} and writes it"
            raise UnusablePrivateFile(what, metadata={"path": str(account.password_file)})
        return URL.create(
            "mysql+pymysql",
            username=account.user,
            password=read_private(account.password_file),
            host=self.host,
            port=self.port,
            database=self.database,
            query={"unix_socket": str(self.socket)} if self.socket else {},
        )


DatabaseAccess = SqliteAccess | MariadbAccess


def read_access(
    databases: Table, name: str, *, user: str, tls: TlsFiles | None, service: str = "SERVICE", contents: str = ""
) -> DatabaseAccess:
    """Returns the access to a database, or raises BadSettings.

    Args:
        databases: the table [database].
        name: the key within it, which is also the database's name unless the site says another.
        user: the account's name unless the site says another.
        tls: the service's own certificates, which are used where the section names none.
        service: "inventory" or another; for the sample, as the next.
        contents: a sentence about what is in the database.
    """

    def read(table: Table) -> DatabaseAccess:
        return _read_table(table, name, user=user, tls=tls)

    if databases.is_text(name) or not databases.has(name):
        doc = f"{contents} A path is an SQLite file, made at the first start.".strip()
        path = _file(databases, name, doc=doc, example=f"/var/lib/kadeploy/{service}/{name}.db")
        databases.alternative(
            name,
            read,
            doc=f"On MariaDB, {name} is a table; `kadeploy-{service} db init --config THIS-FILE` makes the database, "
            "the two accounts with the privileges that each needs, the files with their passwords, and the "
            "tables (docs/databases.md).",
        )
        return SqliteAccess(path=path)
    return read(databases.table(name))


def _read_table(table: Table, name: str, *, user: str, tls: TlsFiles | None) -> DatabaseAccess:
    if table.choice("engine", ENGINES, doc='"sqlite", with the key path, or "mariadb".') == "sqlite":
        return SqliteAccess(path=_file(table, "path"))
    socket = table.optional_path(
        "socket", doc="Its Unix socket, instead of host and port. Default: none.", example="/run/mysqld/mysqld.sock"
    )
    if socket is not None and (table.has("host") or table.has("port")):
        raise table.complaint("socket", f"{table.name('socket')} stands for host and port: remove it, or them")
    host, port = _server(table) if socket is None else (DEFAULT_HOST, DEFAULT_PORT)
    account = Account(
        user=_matched(table, "user", _USER, user, doc="The service's account, which reads and writes rows."),
        password_file=table.path(
            "password_file",
            doc="The file with its password, not readable for others.",
            example=f"/etc/kadeploy/{name}.password",
        ),
    )
    migration = Account(
        user=_matched(
            table,
            "migration_user",
            _USER,
            f"{account.user[:22]}_migration",
            doc="The account that makes and changes tables; `db init` and `db upgrade` alone use it.",
        ),
        password_file=table.path(
            "migration_password_file",
            Path(f"{account.password_file}.migration"),
            doc="The file with its password. Default: password_file with .migration behind it.",
        ),
    )
    if migration.user == account.user or migration.password_file == account.password_file:
        raise table.complaint(
            "migration_user", f"{table.name('user')} and {table.name('migration_user')} must be two, with two files"
        )
    return MariadbAccess(
        database=_matched(table, "name", _DATABASE, name, doc="The database's name on the server."),
        account=account,
        migration=migration,
        host=host,
        port=port,
        socket=socket,
        tls=read_protection(table, host=host, port=port, socket=socket, tls=tls),
        setting=table.title,
    )


def _server(table: Table) -> tuple[str, int]:
    host = _matched(table, "host", _HOST, DEFAULT_HOST, doc="The server.")
    return host, table.whole("port", DEFAULT_PORT, least=1, most=LAST_PORT, doc="Its port, over TCP.")


def _file(table: Table, key: str, *, doc: str = "", example: str = "") -> Path:
    expected = "the path of an SQLite file, or a table with engine, user and password_file"
    text = table.text(key, expected=expected, doc=doc, example=example)
    # Whoever writes a URL may have written a password into it: it is not repeated.
    if "://" in text:
        raise table.complaint(key, f"{table.name(key)} must be {expected}, not a URL")
    return table.path(key, doc=doc, example=example)


def _matched(table: Table, key: str, pattern: re.Pattern[str], default: str, *, doc: str) -> str:
    value = table.text(key, default, doc=doc)
    if not pattern.match(value):
        raise table.refusal(key, f"of the form {pattern.pattern.removesuffix(chr(92) + 'Z')}", value, default=default)
    return value
