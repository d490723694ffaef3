"""Node descriptions in every form, registered in a real inventory and read back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from kadeploy_cli.environments.classic_commands import karecordenv
from kadeploy_cli.ka import ka
from kadeploy_cli.nodes.classic_commands import kaaddnode, kadelnode, kanodes
from tests.integration.cli_inventory.conftest import on_both_databases

pytestmark = pytest.mark.integration

Run = Callable[..., Result]
MIB = 1024 * 1024
# As in the manual of version 2.0.
MAN_PAGE = """\
node1 00:02:73:49:9C:8D 192.168.10.1
node2 00:02:73:49:9C:8E 192.168.10.2
node3 00:02:73:49:9C:8F 192.168.10.3
\\#
hda 80000
1 1500 swap
2 10000 debian
3 20000 empty
"""
YAML = """\
firmware: uefi
labels: {room: "12"}
disks:
  - device: /dev/nvme0n1
    size: 100 GiB
    table: gpt
    partitions:
      - {number: 1, size: 512, label: EFI, role: production, type_id: 0xef}
      - {number: 2, size: 4 GiB, role: swap}
      - {number: 3, size: 40 GiB, label: target}
nodes:
  - name: node-[01-16]
    mac: 52:54:00:12:34:[01-10]
    ip: 10.77.0.[11-26]
    bmc: "{name}.mgmt"
    labels: {rack: a}
  - name: old-1
    mac: 52:54:00:12:35:01
    ip: 10.77.1.1
    firmware: bios
    commands: {hard_reboot: "pdu {label:room} cycle"}
    disks: [{device: sda, size: 8000, partitions: [{number: 1, size: 500, role: tmp}]}]
"""
CLUSTER_NODES = "# two\nnode1 00:02:73:49:9C:8D 192.168.10.1\nnode2 00:02:73:49:9C:8E 192.168.10.2\n"
CLUSTER_PARTITIONS = """\
block_device=hda size=80000
part=1 size=1500 fdisktype=82 label=swap type=primary
part=2 size=10000 fdisktype=83 label=debian type=primary
part=3 size=20000 fdisktype=83 label=empty type=primary
part=4 size=40000 type=extended
part=5 size=10000 fdisktype=83 label=tmp type=logical
"""


def listed(run: Run) -> list[dict[str, Any]]:
    result = run(kanodes, ["-listnode", "-o", "json"])
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def facts(node: dict[str, Any]) -> tuple[Any, ...]:
    (disk,) = node["disks"]
    partitions = [(each["number"], each["size_bytes"], each["environment"]) for each in disk["partitions"]]
    return node["name"], node["mac_address"], node["ip_address"], disk["device"], disk["size_bytes"], partitions


def partition(number: int, size: int, role: str, environment: str, type_id: int = 0x83) -> dict[str, Any]:
    kind = "primary"
    return {
        "number": number,
        "size_bytes": size * MIB,
        "type": kind,
        "type_id": type_id,
        "label": "",
        "role": role,
        "environment": environment,
    }


def record_debian(run: Run, directory: Path) -> None:
    image = directory / "debian.tar.gz"
    image.write_bytes(b"an image")
    assert run(karecordenv, ["-n", "debian", "-k", "/vmlinuz", "-fb", str(image)]).exit_code == 0


@on_both_databases
@pytest.mark.usefixtures("site")
def test_the_manuals_example_comes_back_exactly(run: Run, tmp_path: Path) -> None:
    record_debian(run, tmp_path)
    file = tmp_path / "nodes"
    file.write_text(MAN_PAGE)
    result = run(kaaddnode, [str(file)])
    assert result.exit_code == 0, result.output
    assert result.stderr == "3 nodes registered: node[1-3]\n"
    expected = [
        {
            "name": f"node{number}",
            "mac_address": f"00:02:73:49:9c:8{'cdef'[number]}",
            "ip_address": f"192.168.10.{number}",
            "cluster": "default",
            "firmware": "bios",
            "disks": [
                {
                    "device": "hda",
                    "size_bytes": 80000 * MIB,
                    "partition_table": "mbr",
                    "identity": None,
                    "partitions": [
                        partition(1, 1500, "swap", "swap", 0x82),
                        partition(2, 10000, "deploy", "debian"),
                        partition(3, 20000, "deploy", "empty"),
                    ],
                }
            ],
            "bmc_address": "",
            "labels": {},
            "uuid": "",
        }
        for number in (1, 2, 3)
    ]
    made_by_the_server = ("uid", "etag", "create_time", "update_time", "commands")
    found = [{key: value for key, value in node.items() if key not in made_by_the_server} for node in listed(run)]
    assert found == expected


@on_both_databases
@pytest.mark.usefixtures("site")
def test_the_same_file_again_changes_nothing_and_an_unknown_environment_is_undefined(run: Run) -> None:
    first = run(kaaddnode, ["-"], stdin=MAN_PAGE)
    assert "notice: environment debian is not registered: undefined" in first.stderr
    before = listed(run)
    assert before[0]["disks"][0]["partitions"][1]["environment"] == "undefined"
    again = run(kaaddnode, ["-"], stdin=MAN_PAGE)
    assert again.exit_code == 0
    assert "0 nodes registered; 3 stand there already" in again.stderr
    assert listed(run) == before


def test_one_bad_line_registers_nothing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "nodes"
    file.write_text(MAN_PAGE.replace("3 20000 empty", "5 20000 empty\n6 20000 empty\n4 30000 extended"))
    result = run(kaaddnode, [str(file)])
    assert result.exit_code == 2
    assert f"{file}, line 9: the logical partitions up to this one need 40002 MB" in result.stderr
    assert listed(run) == []


@on_both_databases
@pytest.mark.usefixtures("site")
def test_an_address_that_another_node_has_registers_nothing(run: Run) -> None:
    assert run(kaaddnode, ["-"], stdin=MAN_PAGE).exit_code == 0
    taken = MAN_PAGE.replace("node", "other").replace("10.1\n", "11.1\n").replace("8D", "AD").replace("10.2", "11.2")
    result = run(kaaddnode, ["-"], stdin=taken)
    assert result.exit_code == 5
    assert "ADDRESS_TAKEN" in result.stderr
    assert [node["name"] for node in listed(run)] == ["node1", "node2", "node3"]


@on_both_databases
@pytest.mark.usefixtures("site")
def test_a_yaml_file_registers_ranges_and_single_nodes(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(YAML)
    result = run(kaaddnode, [str(file)])
    assert result.exit_code == 0, result.output
    assert "17 nodes registered: node-[01-16],old-1" in result.stderr
    found = {node["name"]: node for node in listed(run)}
    last, old = found["node-16"], found["old-1"]
    assert (last["mac_address"], last["ip_address"]) == ("52:54:00:12:34:10", "10.77.0.26")
    assert (last["firmware"], last["bmc_address"]) == ("uefi", "node-16.mgmt")
    assert last["labels"] == {"room": "12", "rack": "a"}
    assert last["disks"][0]["partition_table"] == "gpt"
    parts = [(each["role"], each["type_id"], each["label"]) for each in last["disks"][0]["partitions"]]
    assert parts == [("production", 0xEF, "EFI"), ("swap", 0x82, ""), ("deploy", 0x83, "target")]
    assert (old["firmware"], old["disks"][0]["partitions"][0]["role"]) == ("bios", "tmp")
    assert old["commands"]["hard_reboot"]["arguments"] == ["pdu", "{label:room}", "cycle"]
    assert "17 stand there already" in run(kaaddnode, ["-"], stdin=YAML).stderr


@on_both_databases
@pytest.mark.usefixtures("site")
def test_kanodes_add_takes_the_two_files_of_version_2_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "clusternodes.conf").write_text(CLUSTER_NODES)
    (tmp_path / "clusterpartition.conf").write_text(CLUSTER_PARTITIONS)
    result = run(kanodes, ["-add", "-C", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "2 nodes registered: node[1-2]" in result.stderr
    parts = [(each["number"], each["type"], each["role"]) for each in listed(run)[0]["disks"][0]["partitions"]]
    assert parts == [
        (1, "primary", "swap"),
        (2, "primary", "deploy"),
        (3, "primary", "deploy"),
        (4, "extended", ""),
        (5, "logical", "tmp"),
    ]
    assert "2 stand there already" in run(kanodes, ["-add", "-C", str(tmp_path)]).stderr
    # As kasetup wrote it.
    (tmp_path / "clusterpartition.conf").write_text(CLUSTER_PARTITIONS.removeprefix("block_device="))
    assert "2 stand there already" in run(kanodes, ["-add", "-C", str(tmp_path)]).stderr


def test_kanodes_add_with_another_disk_is_refused_and_nothing_is_lost(run: Run, tmp_path: Path) -> None:
    (tmp_path / "clusternodes.conf").write_text(CLUSTER_NODES)
    (tmp_path / "clusterpartition.conf").write_text(CLUSTER_PARTITIONS)
    assert run(kanodes, ["-add", "-C", str(tmp_path)]).exit_code == 0
    before = listed(run)
    (tmp_path / "clusternodes.conf").write_text(CLUSTER_NODES + "node3 00:02:73:49:9C:8F 192.168.10.3\n")
    (tmp_path / "clusterpartition.conf").write_text(CLUSTER_PARTITIONS.replace("size=10000 fd", "size=11000 fd"))
    result = run(kanodes, ["-add", "-C", str(tmp_path)])
    assert result.exit_code == 5
    assert "node1 is registered with other values" in result.stderr
    assert listed(run) == before


def test_the_files_of_a_cluster_carry_its_name(run: Run, tmp_path: Path) -> None:
    assert run(ka, ["cluster", "create", "lab"]).exit_code == 0
    (tmp_path / "clusternodes-lab.conf").write_text(CLUSTER_NODES)
    (tmp_path / "clusterpartition-lab.conf").write_text(CLUSTER_PARTITIONS)
    assert run(kanodes, ["-add", "-z", "lab", "-C", str(tmp_path), "--dry-run"]).exit_code == 0
    assert listed(run) == []
    assert run(kanodes, ["-add", "-z", "lab", "-C", str(tmp_path)]).exit_code == 0
    assert {node["cluster"] for node in listed(run)} == {"lab"}


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("block_device=hda", "device=hda", 1, '"block_device=… size=…" is expected'),
        ("block_device=hda", "9", 1, "a device is expected, such as sda, not '9'"),
        ("part=2", "part=x", 3, "part is a number"),
        ("type=logical", "type=inner", 6, "type is one of primary, extended, logical"),
        ("fdisktype=82", "fdisktype=linux", 2, "fdisktype is a byte in hex"),
        ("size=40000 type", "type", 5, "size is missing"),
        ("part=5", "part=3", 6, "stands twice"),
        ("fdisktype=82", "fdisktype=0f", 2, "for an extended partition and for no other, not 0f"),
        ("size=40000 type", "size=9000 type", 6, "but the extended one has 9000 MB"),
        ("type=extended", "type=primary", 6, "has to be declared before the logical ones"),
    ],
)
def test_a_wrong_line_of_clusterpartition_conf_is_named(  # noqa: PLR0917
    run: Run, tmp_path: Path, old: str, new: str, line: int, expected: str
) -> None:
    (tmp_path / "clusternodes.conf").write_text(CLUSTER_NODES)
    (tmp_path / "clusterpartition.conf").write_text(CLUSTER_PARTITIONS.replace(old, new, 1))
    result = run(kanodes, ["-add", "-C", str(tmp_path)])
    assert result.exit_code == 2
    assert f"clusterpartition.conf, line {line}: " in result.stderr
    assert expected in result.stderr


def test_nodes_are_named_by_sets_on_the_line_in_a_file_and_on_stdin(run: Run, tmp_path: Path) -> None:
    assert run(kaaddnode, ["-"], stdin=YAML).exit_code == 0
    file = tmp_path / "names"
    file.write_text("# mine\nnode-[03-04]\n")
    named = run(kanodes, ["-listnode", "-m", "node-01", "-m", "node-[08-10]", "-f", str(file), "-o", "name"])
    assert named.stdout.split() == ["node-01", "node-03", "node-04", "node-08", "node-09", "node-10"]
    assert run(kanodes, ["-listnode", "-f", "-", "-o", "name"], stdin="node-[15-16]").stdout == "node-15\nnode-16\n"
    assert run(kadelnode, ["node-[01-09]", "-m", "old-1"]).exit_code == 0
    assert run(kanodes, ["-del", "node-[10-15]"]).exit_code == 0
    assert run(kanodes, ["-listnode", "-o", "name"]).stdout == "node-16\n"


def test_the_disks_of_nodes_can_be_replaced_knowingly(run: Run) -> None:
    assert run(kaaddnode, ["-"], stdin=MAN_PAGE).exit_code == 0
    disks = "disks: [{device: hda, size: 80000, partitions: [{number: 3, size: 70000}]}]\n"
    assert run(ka, ["node", "update", "node[1-2]", "--disks", "-"], stdin=disks).exit_code == 0
    sizes = [[part["size_bytes"] // MIB for part in node["disks"][0]["partitions"]] for node in listed(run)]
    assert sizes == [[70000], [70000], [1500, 10000, 20000]]
