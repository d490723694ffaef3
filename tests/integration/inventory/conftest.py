"""A real inventory on a Unix socket, and stores on every engine that is at hand."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import URL

from kadeploy.inventory.v1 import inventory_service_pb2_grpc as stubs
from kadeploy_database.access import SqliteAccess
from kadeploy_edge.channel import open_channel
from kadeploy_edge.server import ServerSettings
from kadeploy_inventory import bootstrap
from kadeploy_inventory.domain.environment_quota import DEFAULT_QUOTA, EnvironmentQuota
from kadeploy_inventory.settings import Settings
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import open_engine
from kadeploy_inventory.store.sql_store import SqlStore
from tests.fakes.threaded_server import start_in_thread
from tests.mariadb import MariadbServer

DATABASES = ("deploy", "deploy_right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The five services as one caller sees them."""

    nodes: stubs.NodeServiceStub
    clusters: stubs.ClusterServiceStub
    environments: stubs.EnvironmentServiceStub
    rights: stubs.RightServiceStub
    resolution: stubs.ResolutionServiceStub


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An inventory that runs: its callers, and where it listens."""

    address: str
    settings: Settings
    engines: dict[str, Engine]
    calling_as: Callable[[str], Client]

    @property
    def root(self) -> Client:
        return self.calling_as("user:root")

    @property
    def alice(self) -> Client:
        return self.calling_as("user:alice")

    @property
    def bob(self) -> Client:
        return self.calling_as("user:bob")

    @property
    def deployer(self) -> Client:
        return self.calling_as("deployer")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two SQLite databases with their tables and nothing else, made once and copied for each test."""
    directory = tmp_path_factory.mktemp("migrated")
    opened = {name: open_engine(f"sqlite:///{directory}/{name}.db") for name in DATABASES}
    schema.upgrade(opened)
    for engine in opened.values():
        engine.dispose()
    return directory


def copy_databases(source: Path, target: Path) -> None:
    for name in DATABASES:
        shutil.copy(source / f"{name}.db", target / f"{name}.db")


@pytest.fixture
def site(engines: dict[str, Engine], tmp_path: Path) -> Iterator[Site]:
    """An inventory that runs, on each engine."""
    with serving(engines, tmp_path) as site:
        yield site


@contextmanager
def serving(engines: dict[str, Engine], directory: Path, *, quota: EnvironmentQuota = DEFAULT_QUOTA) -> Iterator[Site]:
    """Yields an inventory that serves two databases on a socket in the directory."""
    settings = Settings(
        deploy_database=SqliteAccess(path=directory / "deploy.db"),
        deploy_right_database=SqliteAccess(path=directory / "deploy_right.db"),
        address=f"unix:{directory}/s",
        environment_quota=quota,
    )
    runtime = bootstrap.build_runtime(settings, engines)
    server, address = start_in_thread(
        bootstrap.registration(runtime),
        ServerSettings(service=bootstrap.SERVICE, address=settings.address, service_names=bootstrap.SERVICE_NAMES),
    )
    channels: dict[str, grpc.Channel] = {}

    def calling_as(caller: str) -> Client:
        channel = channels.setdefault(caller, open_channel(address, caller=caller))
        return Client(
            nodes=stubs.NodeServiceStub(channel),
            clusters=stubs.ClusterServiceStub(channel),
            environments=stubs.EnvironmentServiceStub(channel),
            rights=stubs.RightServiceStub(channel),
            resolution=stubs.ResolutionServiceStub(channel),
        )

    try:
        yield Site(address=address, settings=settings, engines=engines, calling_as=calling_as)
    finally:
        for channel in channels.values():
            channel.close()
        server.stop()


@contextmanager
def opened(urls: dict[str, URL]) -> Iterator[dict[str, Engine]]:
    engines = {name: open_engine(url) for name, url in urls.items()}
    try:
        yield engines
    finally:
        for engine in engines.values():
            engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def urls(request: pytest.FixtureRequest, tmp_path: Path, migrated: Path) -> Iterator[dict[str, URL]]:
    """The two databases, empty but for their tables, on each engine."""
    if request.param == "sqlite":
        copy_databases(migrated, tmp_path)
        yield {name: URL.create("sqlite", database=f"{tmp_path}/{name}.db") for name in DATABASES}
        return
    server: MariadbServer = request.getfixturevalue("mariadb_server")
    with ExitStack() as stack:
        urls = {name: server.url(stack.enter_context(server.database())) for name in DATABASES}
        with opened(urls) as engines:
            schema.upgrade(engines)
        yield urls


@pytest.fixture
def engines(urls: dict[str, URL]) -> Iterator[dict[str, Engine]]:
    with opened(urls) as engines:
        yield engines


@pytest.fixture
def store(engines: dict[str, Engine]) -> SqlStore:
    return SqlStore(deploy=engines["deploy"], deploy_right=engines["deploy_right"])
