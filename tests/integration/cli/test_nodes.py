"""The commands for nodes against services that note what they are asked."""

import json
import re
from pathlib import Path

import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.ka import ka
from kadeploy_cli.nodes.classic_commands import kaaddnode, kadelnode, kanodes
from kadeploy_cli.nodes.diagnosis import NEXT_STEPS
from kadeploy_cli.terminal.plain import word
from tests.fakes.site import Run, Site

pytestmark = pytest.mark.integration

NODES = """\
# three machines
node-1 52:54:00:12:34:01 10.77.0.11
node-2\t52:54:00:12:34:02\t10.77.0.12
node-10 52:54:00:12:34:0A 10.77.0.20

\\# the disk of each
vda 4096
1 512 swap
2 1024 tmp
3 2048 empty
"""


@pytest.fixture
def nodes_file(tmp_path: Path) -> Path:
    file = tmp_path / "nodes.txt"
    file.write_text(NODES)
    return file


def test_kaaddnode_registers_every_node_of_the_file(site: Site, run: Run, nodes_file: Path) -> None:
    result = run(kaaddnode, [str(nodes_file)])
    assert result.exit_code == 0, result.output
    assert "3 nodes registered: node-[1-2,10]" in result.stderr
    assert list(site.inventory.nodes) == ["node-1", "node-2", "node-10"]
    disk = site.inventory.nodes["node-10"].disks[0]
    assert (disk.device, disk.size_bytes) == ("vda", 4096 * 1024 * 1024)
    assert [(p.number, p.type_id, p.environment) for p in disk.partitions] == [
        (1, 0x82, "swap"),
        (2, 0x83, "tmp"),
        (3, 0x83, "empty"),
    ]
    assert site.inventory.callers == ["user:alice"]


def test_kaaddnode_twice_changes_nothing(run: Run, nodes_file: Path) -> None:
    run(kaaddnode, [str(nodes_file)])
    result = run(kaaddnode, [str(nodes_file)])
    assert result.exit_code == 0
    assert "0 nodes registered; 3 stand there already" in result.stderr


def test_kaaddnode_reads_stdin_and_dry_run_changes_nothing(site: Site, run: Run) -> None:
    result = run(kaaddnode, ["-", "--dry-run"], stdin=NODES)
    assert result.exit_code == 0, result.output
    assert "would be registered" in result.stderr
    assert not site.inventory.nodes


def test_kaaddnode_of_a_bad_file_calls_nobody_and_names_the_line(site: Site, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bad.txt"
    file.write_text(NODES.replace("10.77.0.12", "10.77.0.312"))
    result = run(kaaddnode, [str(file)])
    assert result.exit_code == 2
    assert f"{file}, line 3: an IPv4 address is expected" in result.stderr
    assert not site.inventory.requests


def test_an_unknown_cluster_is_told_with_what_to_do(run: Run, nodes_file: Path) -> None:
    result = run(kaaddnode, [str(nodes_file), "--cluster", "lab"])
    assert result.exit_code == 4
    assert "there is no cluster lab (CLUSTER_NOT_FOUND)" in result.stderr
    assert "ka cluster create" in result.stderr


def test_another_node_under_the_same_name_is_refused(run: Run, nodes_file: Path) -> None:
    run(kaaddnode, [str(nodes_file)])
    nodes_file.write_text(NODES.replace("12:34:01", "12:34:99"))
    result = run(kaaddnode, [str(nodes_file)])
    assert result.exit_code == 5
    assert "NODE_EXISTS" in result.stderr


def test_kanodes_gives_the_registered_nodes_back(run: Run, nodes_file: Path) -> None:
    run(kaaddnode, [str(nodes_file)])
    table = run(kanodes, ["-listnode"])
    assert table.exit_code == 0
    assert table.stdout.splitlines()[1].split()[:3] == ["node-1", "52:54:00:12:34:01", "10.77.0.11"]
    listed = json.loads(run(kanodes, ["-listnode", "-o", "json"]).stdout)
    assert [node["mac_address"] for node in listed] == [f"52:54:00:12:34:{last}" for last in ("01", "02", "0a")]
    assert listed[0]["disks"][0]["size_bytes"] == 4096 * 1024 * 1024
    assert run(kanodes, ["-listnode", "-o", "name", "-m", "node-[2-10]"]).stdout.split() == ["node-2", "node-10"]


def test_lists_of_more_than_a_page_are_whole(run: Run, tmp_path: Path) -> None:
    lines = [f"n{i} 52:54:00:00:{i >> 8:02x}:{i & 255:02x} 10.0.{i >> 8}.{i & 255}" for i in range(1, 1203)]
    file = tmp_path / "many.txt"
    file.write_text("\n".join([*lines, "\\#", "sda 100", "1 50 empty"]))
    assert run(kaaddnode, [str(file)]).exit_code == 0
    assert len(run(kanodes, ["-listnode", "-o", "name"]).stdout.split()) == 1202


def test_kanodes_listpartition_joins_the_inventory_with_the_deployer(site: Site, run: Run, nodes_file: Path) -> None:
    run(kaaddnode, [str(nodes_file)])
    status = deployer_service_pb2.PartitionStatus(
        node="node-2",
        device="vda",
        partition=3,
        state=deployment_pb2.PARTITION_STATE_DEPLOYED,
        deployment_id="D-7",
        owner="alice",
    )
    status.environment.name, status.environment.version = "debian", 2
    site.deployer.partitions.append(status)
    listed = json.loads(run(kanodes, ["-listpartition", "-o", "json"]).stdout)
    assert len(listed) == 9
    known = next(item for item in listed if item["node"] == "node-2" and item["name"] == "vda3")
    assert (known["state"], known["environment"], known["environment_version"]) == ("deployed", "debian", 2)
    assert known["deployment_id"] == "D-7"
    table = run(kanodes, ["-listpartition"]).stdout
    assert [line for line in table.splitlines() if "D-7" in line and "debian 2" in line and "deployed" in line]
    assert run(ka, ["partition", "list", "node-2"]).stdout.count("node-2") == 3


def test_a_node_that_is_held_says_by_whom_since_when_and_what_is_done_to_it(
    site: Site, run: Run, nodes_file: Path
) -> None:
    run(kaaddnode, [str(nodes_file)])
    state = deployer_service_pb2.NodeState(node="node-1", held_by="op-7", held_by_user="bob", step="boot_entry")
    state.lock_time.FromSeconds(1_700_000_000)
    state.step_start_time.FromSeconds(1_700_000_060)
    site.deployer.node_states.append(state)
    shown = run(ka, ["node", "show", "node-1"])
    assert re.search(r"held by: +op-7 of bob since \S+ \S+, boot entry since \S+ \S+\n", shown.stdout), shown.stdout
    assert re.search(r"held by: +nobody\n", run(ka, ["node", "show", "node-2"]).stdout)
    listed = json.loads(run(kanodes, ["-listpartition", "-m", "node-1", "-o", "json"]).stdout)
    assert {(one["held_by"], one["held_by_user"], one["held_step"]) for one in listed} == {
        ("op-7", "bob", "boot_entry")
    }
    assert listed[0]["held_since"].startswith("2023-11-14T22:13:20")


def test_kanodes_needs_exactly_one_thing_to_do(run: Run) -> None:
    assert run(kanodes, []).exit_code == 2
    assert run(kanodes, ["-listnode", "-listpartition"]).exit_code == 2
    assert run(kanodes, ["-add", "-listnode"]).exit_code == 2
    assert "/absent/clusternodes.conf cannot be read" in run(kanodes, ["-add", "-C", "/absent"]).stderr


def test_a_part_of_the_nodes_being_unknown_is_a_partial_success(site: Site, run: Run, nodes_file: Path) -> None:
    run(kaaddnode, [str(nodes_file)])
    result = run(kanodes, ["-del", "node-[2-3]"])
    assert result.exit_code == 6
    assert "1 node removed: node-2" in result.stderr
    assert "node-3: there is no node node-3" in result.stderr
    assert run(kadelnode, ["node-1", "-m", "node-10"]).exit_code == 0
    assert not site.inventory.nodes
    assert run(kadelnode, ["node-1"]).exit_code == 4


def test_ka_node_update_changes_every_node_of_a_set(site: Site, run: Run, nodes_file: Path, tmp_path: Path) -> None:
    run(kaaddnode, [str(nodes_file)])
    site.inventory.nodes["node-1"].labels["rack"] = "1"
    commands = tmp_path / "commands.yaml"
    commands.write_text('hard_reboot: ipmitool -H {bmc} chassis power reset\nconsole: [cat, "{name}"]\n')
    arguments = ["--bmc", "127.0.0.1:623", "--label", "site=lab", "--label", "rack=", "--commands", str(commands)]
    result = run(ka, ["node", "update", "node-[1-2]", *arguments])
    assert result.exit_code == 0, result.output
    node = site.inventory.nodes["node-1"]
    assert node.bmc_address == "127.0.0.1:623"
    assert dict(node.labels) == {"site": "lab"}
    assert list(node.commands.hard_reboot.arguments) == ["ipmitool", "-H", "{bmc}", "chassis", "power", "reset"]
    assert node.mac_address == "52:54:00:12:34:01"
    shown = run(ka, ["node", "show", "node-1"]).stdout
    assert "ipmitool -H {bmc}" in shown
    assert "vda3" in shown


def test_the_uuid_of_a_machine_is_told_of_one_node_alone(site: Site, run: Run, nodes_file: Path) -> None:
    run(kaaddnode, [str(nodes_file)])
    uuid = "b8945908-d6a6-41a9-611d-74a6ab80b83d"
    assert "UUID" not in run(kanodes, ["-listnode"]).stdout
    refused = run(ka, ["node", "update", "node-[1-2]", "--uuid", uuid])
    assert (refused.exit_code, "for one node alone" in refused.stderr) == (2, True)
    assert run(ka, ["node", "update", "node-1", "--uuid", uuid.upper()]).exit_code == 0
    assert site.inventory.nodes["node-1"].uuid == uuid
    assert uuid in run(ka, ["node", "show", "node-1"]).stdout
    header, first, *_ = run(kanodes, ["-listnode"]).stdout.splitlines()
    assert header.endswith("UUID")
    assert first.endswith(uuid)


def test_a_node_that_is_not_there_is_exit_status_4(run: Run) -> None:
    result = run(ka, ["node", "show", "nobody"])
    assert result.exit_code == 4
    assert result.stderr.startswith("ka: there is no node nobody (NODE_NOT_FOUND)")
    assert "ka node list" in result.stderr


def test_only_administrators_register_and_others_are_told_so(site: Site, run: Run, nodes_file: Path) -> None:
    site.inventory.administrators = {"root"}
    result = run(kaaddnode, [str(nodes_file)])
    assert result.exit_code == 5
    assert "administrators" in result.stderr


def test_a_diagnosis_says_the_place_the_evidence_and_what_to_do(site: Site, run: Run) -> None:
    found = site.deployer.diagnosis
    found.node, found.place = "node-7", deployer_service_pb2.BOOT_PLACE_DHCP_ANSWER
    found.description = "it asked for an address, last at 22:13:20 UTC, and the DHCP server offered none"
    evidence = found.evidence.add(text="dhcp request: DHCPDISCOVER(br0)", source="/var/log/dnsmasq.log")
    evidence.time.FromSeconds(1_700_000_000)
    found.problems.append("its power status is unknown: no command")
    result = run(ka, ["node", "diagnose", "node-7"])
    assert result.exit_code == 0, result.output
    assert "boot:  it asked for an address, last at 22:13:20 UTC" in result.stdout
    assert "dhcp request: DHCPDISCOVER(br0)  /var/log/dnsmasq.log" in result.stdout
    assert "its power status is unknown" in result.stderr
    assert "Give its hardware address to the DHCP server: `ka dhcp render`." in result.stderr
    data = json.loads(run(ka, ["node", "diagnose", "node-7", "-o", "json"]).stdout)
    assert (data["place"], data["evidence"][0]["time"]) == ("dhcp_answer", "2023-11-14T22:13:20Z")


def test_every_place_has_a_next_step() -> None:
    places = {
        word(deployer_service_pb2.BootPlace.DESCRIPTOR, number) for number in deployer_service_pb2.BootPlace.values()
    }
    assert places - {""} == set(NEXT_STEPS)
