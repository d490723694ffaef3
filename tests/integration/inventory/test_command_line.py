"""kadeploy-inventory as an administrator starts it: settings, databases, refusals in one sentence."""

import contextlib
import select
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.channel import open_channel
from kadeploy_inventory.__main__ import main

pytestmark = pytest.mark.integration

PATIENCE = 30


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.toml"
    path.write_text(
        f'address = "unix:{tmp_path}/s"\n[database]\ndeploy = "data/deploy.db"\ndeploy_right = "data/right.db"\n'
    )
    return path


@pytest.fixture
def serving(config: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "kadeploy_inventory", "serve", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for("listening on", process)
            yield process
        finally:
            process.kill()


def wait_for(word: str, process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    seen = []
    while select.select([process.stderr], [], [], PATIENCE)[0]:
        line = process.stderr.readline()
        seen.append(line)
        if word in line:
            return
        if not line:
            break
    pytest.fail(f"{word!r} was not said: {seen}")


def test_a_fresh_inventory_serves_at_once_and_ends_when_told(config: Path, serving: subprocess.Popen[str]) -> None:
    with open_channel(f"unix:{config.parent}/s", caller="user:alice") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "kadeploy.inventory.v1.NodeService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        clusters = inventory_service_pb2_grpc.ClusterServiceStub(channel)
        found = clusters.ListClusters(inventory_service_pb2.ListClustersRequest(), timeout=PATIENCE)
        assert [cluster.name for cluster in found.clusters] == ["default"]
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(PATIENCE) == 0


def test_what_is_registered_is_there_after_a_kill(config: Path, serving: subprocess.Popen[str]) -> None:
    request = inventory_service_pb2.CreateClusterRequest()
    request.cluster.name = "big"
    with open_channel(f"unix:{config.parent}/s", caller="user:root") as channel:
        clusters = inventory_service_pb2_grpc.ClusterServiceStub(channel)
        clusters.CreateCluster(request, timeout=PATIENCE)
    serving.kill()
    serving.wait(PATIENCE)
    assert main(["db", "check", "--config", str(config)]) == 0
    command = [sys.executable, "-m", "kadeploy_inventory", "serve", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as again:
        try:
            wait_for("listening on", again)
            with open_channel(f"unix:{config.parent}/s", caller="user:root") as channel:
                clusters = inventory_service_pb2_grpc.ClusterServiceStub(channel)
                wanted = inventory_service_pb2.GetClusterRequest(name="big")
                assert clusters.GetCluster(wanted, timeout=PATIENCE).name == "big"
        finally:
            again.kill()


def test_the_databases_are_checked_and_upgraded(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "check", "--config", str(config)]) == 1
    assert "kadeploy-inventory db upgrade" in capsys.readouterr().err
    assert main(["db", "upgrade", "--config", str(config)]) == 0
    assert main(["db", "check", "--config", str(config)]) == 0


def test_a_table_that_somebody_took_away_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "upgrade", "--config", str(config)]) == 0
    (file,) = config.parent.glob("**/deploy.db")
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE partitions")
    assert main(["db", "check", "--config", str(config)]) == 1
    assert "the database deploy: the table partitions is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ('adress = "x"', 2, "adress is not known"),
        ('address = "0.0.0.0:7401"', 1, "TCP needs certificates"),
    ],
)
def test_a_bad_setting_ends_the_start_with_one_sentence(
    config: Path, capsys: pytest.CaptureFixture[str], line: str, status: int, said: str
) -> None:
    lines = [each for each in config.read_text().splitlines() if not each.startswith("address")]
    config.write_text("\n".join([line, *lines]))
    assert main(["serve", "--config", str(config)]) == status
    complaint = capsys.readouterr().err
    assert said in complaint
    assert "Traceback" not in complaint
