"""A real inventory on a Unix socket, and stores on every engine that is at hand."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from sqlalchemy import Engine, text

from kadeploy.inventory.v1 import inventory_service_pb2_grpc as stubs
from kadeploy_inventory import bootstrap
from kadeploy_inventory.settings import Settings
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import open_engine
from kadeploy_inventory.store.sql_store import SqlStore
from kadeploy_rpckit.channel import open_channel
from kadeploy_rpckit.server import start_sync
from kadeploy_sqlkit.access import SqliteAccess

# The URL of a server on which databases can be made: mysql+pymysql://root@localhost/
MARIADB_URL = os.environ.get("KADEPLOY_TEST_MARIADB_URL", "")
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
def site(tmp_path: Path, migrated: Path) -> Iterator[Site]:
    copy_databases(migrated, tmp_path)
    settings = Settings(
        deploy_database=SqliteAccess(path=tmp_path / "deploy.db"),
        deploy_right_database=SqliteAccess(path=tmp_path / "deploy_right.db"),
        address=f"unix:{tmp_path}/s",
    )
    engines = bootstrap.open_engines(settings)
    runtime = bootstrap.build_runtime(settings, engines)
    server, address = start_sync(
        bootstrap.registration(runtime),
        service=bootstrap.SERVICE,
        address=settings.address,
        service_names=bootstrap.SERVICE_NAMES,
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

    yield Site(address=address, settings=settings, engines=engines, calling_as=calling_as)
    for channel in channels.values():
        channel.close()
    server.stop(grace=None).wait(5)
    for engine in engines.values():
        engine.dispose()


@pytest.fixture(params=["sqlite", "mariadb"] if MARIADB_URL else ["sqlite"])
def engines(request: pytest.FixtureRequest, tmp_path: Path, migrated: Path) -> Iterator[dict[str, Engine]]:
    """The two databases, empty but for their tables, on each engine."""
    if request.param == "sqlite":
        copy_databases(migrated, tmp_path)
        opened = {name: open_engine(f"sqlite:///{tmp_path}/{name}.db") for name in DATABASES}
        yield opened
        for engine in opened.values():
            engine.dispose()
        return
    yield from _mariadb()


def _mariadb() -> Iterator[dict[str, Engine]]:
    server = open_engine(MARIADB_URL)
    names = {name: f"test_{name}_{uuid.uuid4().hex[:8]}" for name in DATABASES}
    try:
        with server.begin() as connection:
            for database in names.values():
                connection.execute(text(f"CREATE DATABASE {database} CHARACTER SET utf8mb4"))
        opened = {
            name: open_engine(str(server.url.set(database=database).render_as_string(hide_password=False)))
            for name, database in names.items()
        }
        schema.upgrade(opened)
        yield opened
        for engine in opened.values():
            engine.dispose()
    finally:
        with server.begin() as connection:
            for database in names.values():
                connection.execute(text(f"DROP DATABASE IF EXISTS {database}"))
        server.dispose()


@pytest.fixture
def store(engines: dict[str, Engine]) -> SqlStore:
    return SqlStore(deploy=engines["deploy"], deploy_right=engines["deploy_right"])
