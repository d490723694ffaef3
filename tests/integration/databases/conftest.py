"""The databases of a site on a real MariaDB server that is reached over mutual TLS, with names of this test's own."""

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest

from kadeploy_edge.tls import TlsFiles
from tests.mariadb import MariadbServer

ADMINISTRATOR = ("site_admin", "pass word #1")
SERVICE_OF = {"deploy": "inventory", "deploy_right": "inventory", "deploy_state": "deployer"}


def tls_table(files: TlsFiles) -> str:
    """Returns what the settings say of certificates, without the head of the table."""
    return f'certificate = "{files.certificate}"\nprivate_key = "{files.private_key}"\nca = "{files.ca}"\n'


def tls_context(files: TlsFiles, *, certificate: bool = True) -> ssl.SSLContext:
    """Returns what a driver encrypts with, as whom the certificate is for or as nobody."""
    context = ssl.create_default_context(cafile=str(files.ca))
    if certificate:
        context.load_cert_chain(files.certificate, files.private_key)
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSite:
    """The settings of both services on one server, and the names that are only of this test."""

    server: MariadbServer
    directory: Path
    defaults_file: Path
    names: Mapping[str, str]
    files: Mapping[str, TlsFiles]

    def config(self, service: str) -> str:
        return str(self.directory / f"{service}.toml")

    def init(self, service: Callable[[list[str]], int], name: str) -> int:
        options = ["--config", self.config(name), "--admin-defaults-file", str(self.defaults_file)]
        return service(["db", "init", *options])

    def section(self, database: str, *, host: str = "127.0.0.1", port: int = 0) -> str:
        return (
            f'[database.{database}]\nengine = "mariadb"\nhost = "{host}"\nport = {port or self.server.port}\n'
            f'name = "{self.names[database]}"\nuser = "{self.user(database)}"\npassword_file = "secrets/{database}"\n'
        )

    def write(self, service: str, *, tls: TlsFiles | None, more: str = "", **place: Any) -> None:
        """Writes the settings of a service; `more` ends the section of each database."""
        head = 'ssh_private_key = "k"\ndeployment_host_keys = "h"\ncache_directory = "c"\n'
        sections = [self.section(name, **place) + more for name, owner in SERVICE_OF.items() if owner == service]
        lines = [head if service == "deployer" else "", *sections, f"[tls]\n{tls_table(tls)}" if tls else ""]
        Path(self.config(service)).write_text("".join(lines))

    def user(self, database: str, kind: str = "service") -> str:
        return self.names[database].replace("test_", "u_") + {"service": "", "migration": "_migration"}[kind]

    def connect(self, database: str, kind: str = "service", **options: Any) -> Any:
        """Returns a connection over TCP as the account of a database, with its password."""
        suffix = {"service": "", "migration": ".migration"}[kind]
        return pymysql.connect(
            host="127.0.0.1",
            port=self.server.port,
            user=self.user(database, kind),
            password=(self.directory / "secrets" / f"{database}{suffix}").read_text().strip(),
            autocommit=True,
            **options,
        )

    def as_account(self, database: str, kind: str, statement: str) -> None:
        """Runs a statement over TCP as the account of a database, with its certificate."""
        context = tls_context(self.files[SERVICE_OF[database]])
        with self.connect(database, kind, ssl=context) as connection, connection.cursor() as cursor:
            cursor.execute(statement.format(**self.names))


@pytest.fixture(scope="session")
def service_files(mariadb_server: MariadbServer) -> Mapping[str, TlsFiles]:
    """The certificates of the services, from the authority that the server believes."""
    assert mariadb_server.certificates is not None
    return {name: mariadb_server.certificates.issue("service", name) for name in ("inventory", "deployer")}


@pytest.fixture
def site(
    mariadb_server: MariadbServer, service_files: Mapping[str, TlsFiles], tmp_path: Path
) -> Iterator[DatabaseSite]:
    unique = f"{os.getpid()}_{tmp_path.name[-4:]}".replace("-", "_")
    names = {
        database: f"test_{short}_{unique}"
        for database, short in (("deploy", "d"), ("deploy_right", "dr"), ("deploy_state", "ds"))
    }
    user, password = ADMINISTRATOR
    defaults_file = tmp_path / "admin.cnf"
    defaults_file.touch(mode=0o600)
    defaults_file.write_text(f"[client]\nuser={user}\npassword='{password}'\n")
    mariadb_server.run(
        # He as well over TLS alone.
        f"CREATE OR REPLACE USER '{user}'@'%' IDENTIFIED BY '{password}' REQUIRE X509",
        f"GRANT ALL ON *.* TO '{user}'@'%' WITH GRANT OPTION",
    )
    made = DatabaseSite(
        server=mariadb_server, directory=tmp_path, defaults_file=defaults_file, names=names, files=service_files
    )
    for service, files in service_files.items():
        made.write(service, tls=files)
    yield made
    accounts = mariadb_server.run(
        "SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user WHERE user LIKE 'u\\_%'"
    )
    mariadb_server.run(*(f"DROP USER {account[0]}" for account in accounts), f"DROP USER '{user}'@'%'")
    mariadb_server.run(*(f"DROP DATABASE IF EXISTS {name}" for name in names.values()))
