"""The inventory on a disk that runs full: said as such, nothing lost, and what frees room still works."""

import contextlib
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.channel import open_channel
from kadeploy_edge.status import from_rpc_error
from tests.fakes.small_disk import SmallDisk, may_mount, on_small_disk

pytestmark = [pytest.mark.integration, pytest.mark.skipif(not may_mount(), reason="needs a real root")]

PATIENCE = 30
MANY = 5000
OLD = 50


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    path = tmp_path / "inventory.toml"
    path.write_text(
        f'address = "unix:{tmp_path}/s"\naudit_log = "data/audit.log"\n'
        '[database]\ndeploy = "data/deploy.db"\ndeploy_right = "data/right.db"\n'
    )
    return path


@contextlib.contextmanager
def serving(config: Path) -> Iterator[SmallDisk]:
    command = [sys.executable, "-m", "kadeploy_inventory", "serve", "--config", str(config)]
    with on_small_disk(command, config.parent / "data", size=2 << 20) as disk:
        wait_until_it_listens(disk)
        yield disk


def wait_until_it_listens(disk: SmallDisk) -> None:
    assert disk.process.stdout is not None
    deadline = time.monotonic() + PATIENCE
    seen = ""
    while "listening on" not in seen and time.monotonic() < deadline:
        line = disk.process.stdout.readline()
        assert line, f"it ended: {seen}"
        seen += line


@pytest.fixture
def channel(config: Path) -> Iterator[grpc.Channel]:
    with open_channel(f"unix:{config.parent}/s", caller="user:root") as channel:
        yield channel


def cluster(name: str) -> inventory_service_pb2.CreateClusterRequest:
    request = inventory_service_pb2.CreateClusterRequest()
    request.cluster.name = name
    return request


def create_until_it_is_refused(clusters: inventory_service_pb2_grpc.ClusterServiceStub, prefix: str) -> list[str]:
    """Returns what was acknowledged. There is room left at first, in files that SQLite has made large before."""
    made: list[str] = []
    for number in range(MANY):
        try:
            clusters.CreateCluster(cluster(f"{prefix}-{number}"), timeout=PATIENCE)
        except grpc.RpcError as failure:
            error = from_rpc_error(failure)
            assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL")
            assert "data is full, so nothing was written to the database deploy.db: make room there" in error.message
            return made
        made.append(f"{prefix}-{number}")
    raise AssertionError("the disk never was full")


def test_a_full_disk_is_told_as_such_and_what_frees_room_works(config: Path, channel: grpc.Channel) -> None:
    clusters = inventory_service_pb2_grpc.ClusterServiceStub(channel)
    rights = inventory_service_pb2_grpc.RightServiceStub(channel)
    grant = inventory_service_pb2.GrantRightsRequest(users=["alice"], nodes="*", partitions=["*"])
    old = [f"old-{number}" for number in range(OLD)]
    with serving(config) as disk:
        for name in old:
            clusters.CreateCluster(cluster(name), timeout=PATIENCE)
        rights.GrantRights(grant, timeout=PATIENCE)
        disk.fill()
        made = create_until_it_is_refused(clusters, "new")
        # Reading, taking away and deleting go on, all of it.
        clusters.GetCluster(inventory_service_pb2.GetClusterRequest(name="old-0"), timeout=PATIENCE)
        revoke = inventory_service_pb2.RevokeRightsRequest(users=["alice"], nodes="*", partitions=["*"])
        assert len(rights.RevokeRights(revoke, timeout=PATIENCE).rights) == 1
        for name in old:
            clusters.DeleteCluster(inventory_service_pb2.DeleteClusterRequest(name=name), timeout=PATIENCE)
        made += create_until_it_is_refused(clusters, "newer")
        disk.empty()
        clusters.CreateCluster(cluster("later"), timeout=PATIENCE)
        # SQLite follows links, and would be led out of the namespace.
        for name in ("deploy.db", "deploy.db-wal"):
            shutil.copy(disk.view / name, config.parent / name)
        with contextlib.closing(sqlite3.connect(config.parent / "deploy.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            kept = {row[0] for row in database.execute("SELECT name FROM clusters")}
    assert kept == {"default", "later", *made}, "what was acknowledged is there, and what was refused is not"


def test_a_start_on_a_full_disk_ends_with_a_sentence_and_not_with_a_new_database(config: Path) -> None:
    command = [
        "sh",
        "-c",
        'head -c 3000000 /dev/zero > "$0/filler"; exec "$@"',
        str(config.parent / "data"),
        *[sys.executable, "-m", "kadeploy_inventory", "serve", "--config", str(config)],
    ]
    with on_small_disk(command, config.parent / "data") as disk:
        said, _ = disk.process.communicate(timeout=PATIENCE)
    assert disk.process.returncode == 1
    assert f"kadeploy-inventory: the disk of {config.parent}/data is full" in said
    assert "Traceback" not in said
