"""`ka status`: the services, what is under way, and who waits for whom."""

import json
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2, operation_pb2
from kadeploy_cli.ka import ka
from kadeploy_edge.server import ServerSettings
from tests.fakes.deployer_services import SERVICES, DeployerServices
from tests.fakes.site import Run, Site
from tests.fakes.site_certificates import SiteCertificates
from tests.fakes.threaded_server import start_in_thread

pytestmark = pytest.mark.integration

WAITING, DEPLOYING = deployment_pb2.DEPLOYMENT_STATE_WAITING, deployment_pb2.DEPLOYMENT_STATE_DEPLOYING


def busy(site: Site) -> None:
    for name, owner, state, nodes in (
        ("D-1", "alice", DEPLOYING, "node-[1-3]"),
        ("D-2", "bob", WAITING, "node-[2-5]"),
    ):
        spec = deployment_pb2.DeploymentSpec(nodes=nodes)
        environment = deployment_pb2.ResolvedEnvironment(name="debian", version=1)
        made = deployment_pb2.Deployment(id=name, owner=owner, state=state, spec=spec, environment=environment)
        made.create_time.FromSeconds(1_700_000_000)
        site.deployer.deployments[name] = made
    for number in range(1, 4):
        site.deployer.node_states.append(
            deployer_service_pb2.NodeState(node=f"node-{number}", held_by="D-1", held_by_user="alice")
        )
    reboot = deployer_service_pb2.NodeState(node="node-5", held_by="O-7", held_by_user="carol")
    operation = operation_pb2.Operation(
        id="O-7", kind=operation_pb2.OPERATION_KIND_REBOOT, owner="carol", nodes="node-5"
    )
    operation.state, operation.action = operation_pb2.OPERATION_STATE_RUNNING, "reboot, hard"
    operation.create_time.FromSeconds(1_700_000_000)
    site.deployer.control.operations["O-7"] = operation
    site.deployer.node_states += [reboot, deployer_service_pb2.NodeState(node="node-9")]


def test_services_with_versions_and_who_waits_for_whom(site: Site, run: Run) -> None:
    busy(site)
    result = run(ka, ["status"])
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    for service in ("inventory", "deployer", "bootctl"):
        assert [service, "serves", version("kadeploy-edge"), "-"] in [row[:4] for row in rows]
    text = " ".join(result.stdout.split())
    assert "D-1 deployment deploying alice debian 1 node-[1-3] 2023-11-1" in text
    assert "node-[2-3], held by D-1 of alice; node-5, held by O-7 of carol" in text
    assert "O-7 reboot running carol reboot, hard node-5 2023-11-1" in text


def test_json_has_the_same(site: Site, run: Run) -> None:
    busy(site)
    data = json.loads(run(ka, ["status", "-o", "json"]).stdout)
    assert [service["serves"] for service in data["services"]] == [True] * 3
    waiting = next(each for each in data["under_way"] if each["id"] == "D-2")
    assert waiting["waits_for"] == {"D-1": "node-[2-3]", "O-7": "node-5"}
    assert waiting["since"] == "2023-11-14T22:13:20Z"


def test_a_service_that_is_away_is_named_and_the_others_are_shown(site: Site, run: Run) -> None:
    text = site.client_file.read_text().replace("bootctl.sock", "nothing.sock")
    site.client_file.write_text(text)
    result = run(ka, ["status"])
    assert result.exit_code == 3
    assert "the bootctl service does not answer at unix:" in result.stdout
    assert "deployer   serves" in result.stdout
    assert "nothing is under way" in result.stdout


def test_certificates_of_the_service_and_the_user_have_their_ends(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = SiteCertificates(tmp_path / "pki")
    service, user = certificates.issue("service", "deployer"), certificates.issue("user", "alice")
    settings = ServerSettings(service="deployer", address="127.0.0.1:0", service_names=SERVICES, tls=service)
    server, address = start_in_thread(DeployerServices().register, settings)
    client_file = tmp_path / "client.toml"
    client_file.write_text(
        f'[deployer]\naddress = "{address}"\n[tls]\ncertificate = "{user.certificate}"\n'
        f'private_key = "{user.private_key}"\nca = "{user.ca}"\n'
    )
    monkeypatch.setenv("KADEPLOY_CONFIG", str(client_file))
    try:
        result = run(ka, ["status", "-o", "json"])
    finally:
        server.stop()
    data = json.loads(result.stdout)
    assert result.exit_code == 3
    shown = next(each for each in data["services"] if each["service"] == "deployer")
    assert shown["serves"], shown
    for text in (shown["certificate_end"], data["certificate_end"]):
        assert datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z") > datetime.now(UTC) + timedelta(hours=20)
    assert data["services"][0]["state"] == "client.toml does not say where it is"
