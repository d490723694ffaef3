"""`ka import` on a real inventory: a dry run changes nothing, an import may be repeated."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadeploy_cli.connection.settings import VARIABLE
from kadeploy_cli.ka import ka
from kadeploy_cli.rights.classic_commands import karights
from kadeploy_edge.server import ServerSettings
from tests.fakes import deployer_services
from tests.fakes.deployer_services import DeployerServices
from tests.fakes.threaded_server import start_in_thread
from tests.integration.cli_inventory.conftest import Run, Site

pytestmark = pytest.mark.integration

DUMP = """\
INSERT INTO node (id,name,macaddr,ipaddr) VALUES (1,'node-1','02:00:00:00:00:01','10.0.0.1'),
 (2,'node-2','02:00:00:00:00:02','10.0.0.2');
INSERT INTO disk (id,size,device) VALUES (1,80000,'sda');
INSERT INTO partition (id,pnumber,size) VALUES (1,'1',1500),(3,'3',20000);
INSERT INTO environment (id,name,version,filebase,kernelpath,fdisktype,filesystem,user) VALUES
 (2,'swap',1,'','',0,'','deploy'),(5,'debian',2,'file:/{image}','/vmlinuz',131,'ext4','deploy'),
 (6,'gone',1,'file://gone.tgz','/vmlinuz',131,'ext4','alice');
INSERT INTO deployed (envid,diskid,partid,nodeid,deployid,state) VALUES
 (2,1,1,1,0,'deployed'),(5,1,3,1,7,'deployed'),(2,1,1,2,0,'deployed'),(5,1,3,2,7,'deployed');
INSERT INTO rights (user,node,part) VALUES ('alice','node-1','sda3'),('alice','node-2','sda3'),('bob','*','*');
"""
COMMANDS = "node-1 hardboot ipmitool -H node-1-bmc reset\nnode-2 hardboot ipmitool -H node-2-bmc reset\n"


@pytest.fixture
def old(tmp_path: Path) -> list[str]:
    (tmp_path / "image.tgz").write_bytes(b"image")
    (tmp_path / "deploy.conf").write_text("first_check_timeout = 123\nenable_nmap = 1\n")
    (tmp_path / "deploy_cmd.conf").write_text(COMMANDS)
    (tmp_path / "deploy_cluster.conf").write_text("node-1 big\nnode-2 big\n")
    (tmp_path / "dump.sql").write_text(DUMP.replace("{image}", f"{tmp_path}/image.tgz"))
    return ["import", "kadeploy2", "--configuration", str(tmp_path), "--dump", str(tmp_path / "dump.sql")]


@pytest.fixture(autouse=True)
def deployer(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeployerServices]:
    """A deployer, in the settings of the user who imports."""
    made = DeployerServices()
    address = f"unix:{site.directory}/d"
    server, _ = start_in_thread(
        made.register,
        ServerSettings(
            service="deployer",
            address=address,
            service_names=deployer_services.SERVICES,
            administrators=frozenset({"root"}),
        ),
    )
    settings = site.directory / "importer.toml"
    settings.write_text(f'{site.client_file("root").read_text()}[deployer]\naddress = "{address}"\n')
    monkeypatch.setenv(VARIABLE, str(settings))
    yield made
    server.stop()


def test_a_dry_run_says_all_and_changes_nothing(run: Run, old: list[str]) -> None:
    shown = run(ka, [*old, "--dry-run"])
    assert shown.exit_code == 0, shown.stderr
    assert "node-[1-2]" in shown.stdout
    assert "no counterpart:" in shown.stderr
    assert "enable_nmap" in shown.stderr
    assert "environment gone version 1 of alice" in shown.stderr
    data = json.loads(run(ka, [*old, "--dry-run", "-o", "json"]).stdout)
    assert [node["name"] for node in data["nodes"]] == ["node-1", "node-2"]
    assert len(data["rights"]) == 3
    assert run(ka, ["node", "list", "-o", "name"]).stdout == ""
    assert run(ka, ["cluster", "list", "-o", "name"]).stdout == "default\n"


def test_an_import_makes_what_the_dry_run_says_and_may_be_repeated(
    run: Run, old: list[str], deployer: DeployerServices
) -> None:
    for _ in range(2):
        made = run(ka, old)
        assert (made.exit_code, "everything is imported" in made.stderr) == (0, True), made.stderr
        nodes = json.loads(run(ka, ["node", "list", "-o", "json"]).stdout)
        assert [(node["name"], node["cluster"]) for node in nodes] == [("node-1", "big"), ("node-2", "big")]
        partitions = [(each["number"], each["environment"]) for each in nodes[0]["disks"][0]["partitions"]]
        assert partitions == [(1, "swap"), (3, "debian")]
        cluster = json.loads(run(ka, ["cluster", "show", "big", "-o", "json"]).stdout)["profile"]
        assert cluster["commands"]["hard_reboot"]["arguments"] == ["ipmitool", "-H", "{node_short}-bmc", "reset"]
        default = json.loads(run(ka, ["cluster", "show", "default", "-o", "json"]).stdout)["profile"]
        assert default["first_check_timeout"] == 123
        (debian,) = json.loads(run(ka, ["environment", "list", "-o", "json"]).stdout)
        assert (debian["name"], debian["owner"], debian["visibility"]) == ("debian", "deploy", "public")
        declared = [each for each in deployer.requests if each.DESCRIPTOR.name == "DeclarePartitionsRequest"]
        # Version 2's last deployment on the partition; what is only swap is no system.
        (request,) = declared
        named = (request.environment_name, request.environment_version, request.environment_owner)
        assert (request.nodes, request.device, request.partition) == ("node-[1-2]", "sda", 3)
        assert named == ("debian", 2, "deploy")
        deployer.requests.clear()
        rights = sorted(run(karights, ["-l", "--output", "name"]).stdout.split())
        assert rights == ["alice:node-1:sda3", "alice:node-2:sda3", "bob:*:*"]


def test_what_cannot_be_imported_is_named_and_the_rest_is_made(run: Run, old: list[str], tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_text("INSERT INTO rights (user,node,part) VALUES ('a b','*','*'),('carol','*','*');")
    made = run(ka, old)
    assert (made.exit_code, "right of a b: " in made.stderr) == (6, True), made.stderr
    assert "carol:*:*" in run(karights, ["-l", "--output", "name"]).stdout


@pytest.mark.parametrize("words", [[], ["--configuration", "/absent"], ["--dump", "/absent"]])
def test_nothing_to_import_is_refused(run: Run, words: list[str]) -> None:
    assert run(ka, ["import", "kadeploy3", *words]).exit_code == 2
