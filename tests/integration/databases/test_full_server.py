"""A MariaDB whose disk runs full: both services say so, nothing is lost, and they go on when there is room."""

import functools
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from kadeploy_database.failures import DatabaseFull
from kadeploy_deployer.domain.errors import StoreFull
from kadeploy_deployer.store import schema as deployer_schema
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from kadeploy_inventory.app.ports import Work
from kadeploy_inventory.domain.node import Node
from kadeploy_inventory.domain.partition_table import complete_disk
from kadeploy_inventory.store import schema as inventory_schema
from kadeploy_inventory.store.engine import open_engine
from kadeploy_inventory.store.sql_store import SqlStore
from tests.fakes.deployment_world import new_deployment
from tests.fakes.small_disk import SmallDisk, may_mount, on_small_disk
from tests.mariadb import MariadbServer, server_command, system_tables
from tests.unit.inventory.builders import disk, node

pytestmark = [
    pytest.mark.integration,
    pytest.mark.mariadb,
    pytest.mark.thorough,
    pytest.mark.skipif(not may_mount(), reason="needs a real root"),
]

DISK = 256 << 20
SMALL_LOG = "--innodb-log-file-size=8M"
PATIENCE = 60


@pytest.fixture
def small_server() -> Iterator[tuple[MariadbServer, SmallDisk]]:
    """A server whose data is on a disk of its own."""
    with tempfile.TemporaryDirectory(prefix="kadeploy-full-") as directory:
        home = Path(directory)
        shutil.chown(home, "mysql", "mysql")
        system_tables(home, SMALL_LOG)
        server, command = server_command(home, SMALL_LOG)
        with on_small_disk(command, home / "data", size=DISK) as disk:
            deadline = time.monotonic() + PATIENCE
            while not server.socket.exists():
                assert disk.process.poll() is None, (home / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield server, disk


def url(server: MariadbServer, name: str) -> URL:
    server.run(f"CREATE DATABASE {name}")
    return server.url(name)


def test_the_inventory_names_the_server_whose_disk_is_full(small_server: tuple[MariadbServer, SmallDisk]) -> None:
    server, device = small_server
    engines = {name: open_engine(url(server, name)) for name in ("deploy", "deploy_right")}
    inventory_schema.upgrade(engines)
    store = SqlStore(deploy=engines["deploy"], deploy_right=engines["deploy_right"])
    device.fill()
    registered, refusal = 0, ""
    while not refusal:
        nodes = [registered_node(number) for number in range(registered + 1, registered + 501)]
        try:
            store.change_deploy(functools.partial(add, nodes))
            registered += len(nodes)
        except DatabaseFull as error:
            refusal = error.message
    assert (
        f"the disk of the server at {server.socket} is full, so nothing was written to its database deploy" in refusal
    )
    assert count(store) == registered
    device.empty()
    store.change_deploy(functools.partial(add, [registered_node(60_000)]))
    assert count(store) == registered + 1
    for engine in engines.values():
        engine.dispose()


def registered_node(number: int) -> Node:
    now = datetime.now(UTC)
    disks = (complete_disk(disk()),)
    return node(number, uid=f"u{number}", disks=disks, create_time=now, update_time=now, etag="e")


def add(nodes: Sequence[Node], work: Work) -> None:
    work.nodes.add(nodes)


def count(store: SqlStore) -> Any:
    return store.read(
        lambda work: work._deploy.exec_driver_sql("SELECT count(*) FROM nodes").scalar_one()  # type: ignore[attr-defined]
    )


async def test_the_deployer_names_it_and_goes_on_when_there_is_room(
    small_server: tuple[MariadbServer, SmallDisk],
) -> None:
    server, device = small_server
    database = Database(url(server, "deploy_state"))
    deployer_schema.upgrade(database.engine)
    store = SqlDeploymentStore(database)
    device.fill()
    made, refusal = 0, ""
    while not refusal:
        nodes = [f"n{made}-{each}" for each in range(200)]
        try:
            await store.create(new_deployment(f"d{made}", nodes))
            made += 1
        except StoreFull as error:
            refusal = error.message
    assert f"the disk of the server at {server.socket} is full" in refusal
    device.empty()
    await store.create(new_deployment("later", ["later"]))
    rows = await database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM deployments").scalar_one())
    assert rows == made + 1
    database.close()
