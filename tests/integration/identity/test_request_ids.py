"""One request is found in the logs of all services by one id, and its audit record names what it has made."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.request_id import current_request_id
from tests.integration.inventory.requests import an_environment
from tests.tls_site import TlsSite, tls_site

pytestmark = pytest.mark.integration

SECONDS = 30


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSite]:
    with tls_site(tmp_path_factory.mktemp("ids")) as made:
        yield made


def test_a_call_has_its_callers_id_in_the_log_of_every_service_that_works_on_it(site: TlsSite) -> None:
    token = current_request_id.set("a1b2c3d4e5f6")
    try:
        spec = deployment_pb2.DeploymentSpec(nodes="node-1", environment_name="nothing", device="sda", partition=3)
        wanted = deployer_service_pb2.PlanDeploymentRequest(spec=spec)
        with site.channel("deployer", "alice") as channel:
            stub = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
            with pytest.raises(grpc.RpcError):
                stub.PlanDeployment(wanted, timeout=SECONDS)
    finally:
        current_request_id.reset(token)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and "a1b2c3d4e5f6" not in site.log("deployer"):
        time.sleep(0.1)
    for service, method in (("deployer", "PlanDeployment"), ("inventory", "ResolveDeployment")):
        lines = [line for line in site.log(service).splitlines() if "request_id=a1b2c3d4e5f6" in line]
        assert any(method in line for line in lines), service


def test_the_record_of_a_creation_has_the_new_id(site: TlsSite) -> None:
    with site.channel("inventory", "root") as channel:
        made = inventory_service_pb2_grpc.EnvironmentServiceStub(channel).RecordEnvironment(
            inventory_service_pb2.RecordEnvironmentRequest(environment=an_environment(visibility=3)), timeout=SECONDS
        )
    lines = (site.directory / "inventory-audit.json").read_text().splitlines()
    (record,) = (each for each in map(json.loads, lines) if each["method"].endswith("RecordEnvironment"))
    assert record["result"]["uid"] == made.uid


def test_a_service_whose_settings_say_so_logs_json(tmp_path: Path) -> None:
    settings = tmp_path / "inventory.toml"
    settings.write_text(
        f'address = "unix:{tmp_path}/socket"\n[log]\nformat = "json"\n'
        '[database]\ndeploy = "deploy.db"\ndeploy_right = "deploy_right.db"\n'
    )
    program = Path(sys.executable).parent / "kadeploy-inventory"
    process = subprocess.Popen(
        [program, "serve", "--config", settings], env=os.environ, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            found = json.loads(line)
            if "listening" in found["message"]:
                break
        assert (found["service"], found["level"]) == ("inventory", "INFO")
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)
