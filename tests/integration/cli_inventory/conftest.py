"""The commands on a real inventory: a server on a Unix socket with databases of its own, and a client.toml."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from kadeploy_cli.connection.settings import VARIABLE
from kadeploy_cli.nodes.classic_commands import kaaddnode
from kadeploy_edge.server import ServerSettings
from kadeploy_inventory import bootstrap
from kadeploy_inventory.settings import Settings
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import open_engine
from tests.fakes.threaded_server import start_in_thread
from tests.integration.cli_inventory.batch import Scheduler, serving_scheduler
from tests.mariadb import MariadbServer

Run = Callable[..., Result]
DATABASES = ("deploy", "deploy_right")
NODES = """\
nodes:
  - {name: "node-[1-4]", mac: "52:54:00:00:00:[01-04]", ip: "10.0.0.[1-4]"}
disks: [{device: sda, size: 8000, partitions: [{number: 3, size: 4000}]}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A real inventory, and where the settings of its callers are."""

    directory: Path
    address: str
    engines: Mapping[str, Engine]

    def client_file(self, user: str) -> Path:
        """Returns a client.toml of a user."""
        file = self.directory / f"{user}.toml"
        file.write_text(f'user = "{user}"\n[deadlines]\ncall = 10\n[inventory]\naddress = "{self.address}"\n')
        return file


def settings_in(directory: Path) -> Settings:
    file = directory / "inventory.toml"
    paths = "".join(f'{name} = "{directory}/{name}.db"\n' for name in DATABASES)
    file.write_text(f'address = "unix:{directory}/s"\n[database]\n{paths}')
    return Settings.load(file)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The databases with their tables and nothing else, made once and copied for each test."""
    directory = tmp_path_factory.mktemp("migrated")
    engines = bootstrap.open_engines(settings_in(directory))
    schema.upgrade(engines)
    for engine in engines.values():
        engine.dispose()
    return directory


@pytest.fixture
def site(
    tmp_path_factory: pytest.TempPathFactory,
    migrated: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Site]:
    """An inventory on SQLite, or on MariaDB where a test asks for it by `on_both_databases`."""
    directory = tmp_path_factory.mktemp("i")
    for name in DATABASES:
        shutil.copy(migrated / f"{name}.db", directory / f"{name}.db")
    settings = settings_in(directory)
    with ExitStack() as stack:
        if getattr(request, "param", "sqlite") == "mariadb":
            server: MariadbServer = request.getfixturevalue("mariadb_server")
            engines = {name: open_engine(server.url(stack.enter_context(server.database()))) for name in DATABASES}
            schema.upgrade(engines)
        else:
            engines = bootstrap.open_engines(settings)
        started, address = start_in_thread(
            bootstrap.registration(bootstrap.build_runtime(settings, engines)),
            ServerSettings(service=bootstrap.SERVICE, address=settings.address, service_names=bootstrap.SERVICE_NAMES),
        )
        made = Site(directory=directory, address=address, engines=engines)
        monkeypatch.setenv(VARIABLE, str(made.client_file("root")))
        yield made
        started.stop()
        for engine in engines.values():
            engine.dispose()


on_both_databases = pytest.mark.parametrize(
    "site", ["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True
)


@pytest.fixture
def run(site: Site) -> Run:
    """Runs a command in this process, as root unless another user is named."""

    def invoke(command: click.Command, arguments: Sequence[str], *, stdin: str | None = None, user: str = "") -> Result:
        settings = str(site.client_file(user)) if user else os.environ[VARIABLE]
        return CliRunner().invoke(command, list(arguments), input=stdin, env={VARIABLE: settings})

    return invoke


@pytest.fixture
def scheduler(site: Site, run: Run, tmp_path: Path) -> Iterator[Scheduler]:
    """A scheduler's host, and four nodes that it knows."""
    assert run(kaaddnode, ["-"], stdin=NODES).exit_code == 0
    settings = site.client_file("root").read_text()
    with serving_scheduler(settings, tmp_path, site.directory / "d") as made:
        yield made
