"""An SQLite database that is damaged while the inventory serves: a clear refusal, no traceback, nothing written."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_database.access import SqliteAccess
from kadeploy_edge.status import from_rpc_error
from tests.integration.inventory.conftest import DATABASES, Site, copy_databases, opened, serving

pytestmark = pytest.mark.integration


@pytest.fixture
def site(migrated: Path, tmp_path: Path) -> Iterator[Site]:
    copy_databases(migrated, tmp_path)
    urls = {name: SqliteAccess(path=tmp_path / f"{name}.db").url for name in DATABASES}
    with opened(urls) as engines, serving(engines, tmp_path) as site:
        yield site


def overwrite(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4096] + os.urandom(path.stat().st_size - 4096))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (overwrite, "is damaged"),
        (lambda path: os.truncate(path, 0), "the file was emptied while it was in use"),
        (Path.unlink, "the file was removed while it was in use"),
    ],
    ids=["overwritten", "emptied", "removed"],
)
def test_damage_at_run_time_is_told_as_such(
    site: Site, tmp_path: Path, harm: Callable[[Path], None], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    site.root.clusters.ListClusters(inventory_service_pb2.ListClustersRequest(), timeout=30)
    harm(tmp_path / "deploy.db")
    if harm is overwrite:
        # What a connection has in memory is not read again.
        site.engines["deploy"].dispose()
    create = inventory_service_pb2.CreateClusterRequest()
    create.cluster.name = "big"
    calls: list[tuple[Any, Any]] = [
        (site.root.clusters.CreateCluster, create),
        (site.root.clusters.ListClusters, inventory_service_pb2.ListClustersRequest()),
    ]
    for call, request in calls:
        with pytest.raises(grpc.RpcError) as failure:
            call(request, timeout=30)
        error = from_rpc_error(failure.value)
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_DAMAGED")
        assert said in error.message
        assert "restore the database from a backup" in error.message
    assert "Traceback" not in caplog.text
    # The other database is whole, and answers.
    site.root.rights.ListRights(inventory_service_pb2.ListRightsRequest(), timeout=30)
