"""The metrics of real services, scraped over HTTP; the alerts and the dashboard name only what is exposed there."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.metrics_settings import read_metrics_address
from kadeploy_edge.settings_file import BadSettings, load
from tests.fakes.paced_deployer import PACE
from tests.integration.inventory.requests import an_environment, recording
from tests.tls_site import SERVICES, TlsSite, tls_site

pytestmark = pytest.mark.integration

MONITORING = Path(__file__).parents[3] / "docs" / "monitoring"
SECONDS = 30.0
MOST_SERIES = 2000
Samples = Mapping[str, list[tuple[Mapping[str, str], float]]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSite]:
    """A site that has deployed two nodes, of which one failed."""
    directory = tmp_path_factory.mktemp("metrics")
    (directory / PACE).write_text(json.dumps({"seconds": 0.01, "failures": {"node-2": ["format", "mkfs: exit 1"]}}))
    with tls_site(directory, deployer_module="tests.fakes.paced_deployer", metrics=True) as made:
        with made.channel("inventory", "root") as channel:
            stub = inventory_service_pb2_grpc.EnvironmentServiceStub(channel)
            stub.RecordEnvironment(recording(an_environment(visibility=3)), timeout=SECONDS)
        with made.channel("deployer", "alice") as channel:
            deployments = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
            spec = deployment_pb2.DeploymentSpec(
                nodes="node-[1-2]", environment_name="debian", device="sda", partition=3
            )
            created = deployments.CreateDeployment(
                deployer_service_pb2.CreateDeploymentRequest(spec=spec), timeout=SECONDS
            )
            for _ in deployments.WatchDeployment(
                deployer_service_pb2.WatchDeploymentRequest(id=created.id), timeout=SECONDS
            ):
                pass
        yield made


def exposition(site: TlsSite, service: str) -> str:
    found = re.search(r"metrics at (http://127\.0\.0\.1:\d+/metrics)", site.log(service))
    assert found, site.log(service)[-500:]
    with urlopen(found[1], timeout=SECONDS) as answer:  # noqa: S310 - loopback
        return str(answer.read().decode())


def samples(site: TlsSite, service: str) -> Samples:
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in text_string_to_metric_families(exposition(site, service)):
        for each in family.samples:
            found.setdefault(each.name, []).append((each.labels, each.value))
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return sum(number for have, number in found[name] if labels.items() <= have.items())


def test_the_deployer_counts_what_it_drove(site: TlsSite) -> None:
    deadline = time.monotonic() + SECONDS
    while "kadeploy_operations_total" not in (found := samples(site, "deployer")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert value(found, "kadeploy_operations_total", kind="deployment", outcome="some_failed") == 1
    assert value(found, "kadeploy_node_failures_total", step="format") == 1
    assert value(found, "kadeploy_step_seconds_count", step="format", succeeded="true") == 1
    assert value(found, "kadeploy_step_seconds_count", step="format", succeeded="false") == 1
    assert not found.get("kadeploy_nodes")
    assert value(found, "kadeploy_queue_length") == 0
    assert value(found, "kadeploy_leases_lost_total") == 0
    assert value(found, "kadeploy_database_seconds_count", database="deploy_state") > 0


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_says_how_it_is(site: TlsSite, service: str) -> None:
    found = samples(site, service)
    assert value(found, "kadeploy_build_info", service=service) == 1
    assert value(found, "kadeploy_serving", what="service") == 1
    assert 80_000 < value(found, "kadeploy_certificate_left_seconds", certificate="service") < 90_000
    assert value(found, "process_open_fds") > 0


def test_calls_are_counted_by_code_and_labels_are_bounded(site: TlsSite) -> None:
    with site.channel("inventory", "alice") as channel:
        stub = inventory_service_pb2_grpc.NodeServiceStub(channel)
        for name in (f"strange-{number}" for number in range(20)):
            with pytest.raises(grpc.RpcError):
                stub.GetNode(inventory_service_pb2.GetNodeRequest(name=name), timeout=SECONDS)
    found = samples(site, "inventory")
    method = "kadeploy.inventory.v1.NodeService/GetNode"
    assert value(found, "kadeploy_rpcs_total", method=method, code="NOT_FOUND") == 20
    assert value(found, "kadeploy_rpc_seconds_count", method=method) >= 20
    text = exposition(site, "inventory") + exposition(site, "deployer")
    assert "strange" not in text
    assert "alice" not in text
    assert "node-1" not in text
    assert len(text.splitlines()) < MOST_SERIES


def names_of(site: TlsSite) -> set[str]:
    """Returns the names of all metrics that the services expose, also of those that have no values yet."""
    found: set[str] = set()
    for service in SERVICES:
        for family in text_string_to_metric_families(exposition(site, service)):
            found.add(family.name)
            found |= {each.name for each in family.samples}
            if family.type == "counter":
                found.add(f"{family.name}_total")
            if family.type == "histogram":
                found |= {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
    return found


def used(query: str) -> set[str]:
    return set(re.findall(r"\b(?:kadeploy|process)_[a-z_]+\b", query))


def test_the_dashboard_names_only_metrics_that_exist(site: TlsSite) -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(queries) >= 12
    assert all(used(query) for query in queries)
    assert {name for query in queries for name in used(query)} <= names_of(site)


def promtool(*arguments: object) -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed: it is in Debian's package prometheus")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_alerts_are_good_fire_and_name_only_metrics_that_exist(site: TlsSite) -> None:
    promtool("check", "rules", MONITORING / "alerts.yaml")
    # Its own tests: each alert with values that fire it, and with some that do not.
    promtool("test", "rules", MONITORING / "alerts.test.yaml")
    queries = re.findall(r"expr: (?:>-?\n)?((?:.|\n)*?)\n +(?:for|labels):", (MONITORING / "alerts.yaml").read_text())
    assert len(queries) >= 8
    assert {name for query in queries for name in used(query)} <= names_of(site)


@pytest.mark.parametrize("service", SERVICES)
def test_promtool_finds_nothing_wrong_with_the_exposition(site: TlsSite, service: str) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed: it is in Debian's package prometheus")
    done = subprocess.run(
        [program, "check", "metrics"],
        input=exposition(site, service),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("kadeploy")]
    assert ours == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", None),
        ("[metrics]", "127.0.0.1:7411"),
        ('[metrics]\naddress = "[::1]:1"', "[::1]:1"),
        ('[metrics]\naddress = "0.0.0.0:7411"\nopen = true', "0.0.0.0:7411"),
    ],
)
def test_metrics_are_off_and_on_loopback_until_the_settings_say_otherwise(
    tmp_path: Path, text: str, said: str | None
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    assert load(file, lambda table: read_metrics_address(table, "127.0.0.1:7411")) == (said or "")


def test_an_address_that_others_reach_has_to_be_wanted(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[metrics]\naddress = "0.0.0.0:7411"')
    with pytest.raises(BadSettings, match="can be reached by other hosts: give open = true"):
        load(file, lambda table: read_metrics_address(table, "127.0.0.1:7411"))
    file.write_text('[metrics]\naddress = "7411"')
    with pytest.raises(BadSettings, match=r"metrics\.address must be HOST:PORT"):
        load(file, lambda table: read_metrics_address(table, "127.0.0.1:7411"))
