"""The description of nodes in YAML."""

import pytest

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions import nodes_yaml
from kadeploy_cli.descriptions.text import DescriptionFailure, looks_like_yaml

TEXT = """\
cluster: lab
disks:
  - device: sda
    size: 20 GiB
    partitions:
      - {number: 1, size: 1 GiB, role: swap}
      - {number: 4, size: 10 GiB, type: extended}
      - {number: 5, size: 5 GiB, environment: debian}
nodes:
  - name: node-[8-10]
    mac: 52:54:00:00:00:[0e-10]
    ip: 10.0.0.[8-10]
    bmc: 10.1.0.[8-10]
  - name: [a, b]
    uuid: [B8945908-D6A6-41A9-611D-74A6AB80B83D, b8945908-d6a6-41a9-611d-74a6ab80b83e]
    mac: ["52:54:00:00:01:01", "52:54:00:00:01:02"]
    ip: [10.0.1.1, 10.0.1.2]
"""


def test_names_and_addresses_go_together_in_the_order_they_are_written() -> None:
    nodes = nodes_yaml.parse(TEXT, "f").nodes
    assert [(node.name, node.mac_address[-2:], node.ip_address, node.bmc_address) for node in nodes] == [
        ("node-8", "0e", "10.0.0.8", "10.1.0.8"),
        ("node-9", "0f", "10.0.0.9", "10.1.0.9"),
        ("node-10", "10", "10.0.0.10", "10.1.0.10"),
        ("a", "01", "10.0.1.1", ""),
        ("b", "02", "10.0.1.2", ""),
    ]
    assert {node.cluster for node in nodes} == {"lab"}
    assert [node.uuid[-4:] for node in nodes] == ["", "", "", "b83d", "b83e"]
    assert nodes[3].uuid.islower()


def test_what_is_left_out_of_a_partition_follows_from_the_rest() -> None:
    partitions = nodes_yaml.parse(TEXT, "f").nodes[0].disks[0].partitions
    assert [(each.type, each.role, each.type_id, each.environment) for each in partitions] == [
        (node_pb2.PARTITION_TYPE_PRIMARY, node_pb2.PARTITION_ROLE_SWAP, 0x82, "swap"),
        (node_pb2.PARTITION_TYPE_EXTENDED, node_pb2.PARTITION_ROLE_UNSPECIFIED, 0x05, ""),
        (node_pb2.PARTITION_TYPE_LOGICAL, node_pb2.PARTITION_ROLE_DEPLOY, 0x83, "debian"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("size: 20 GiB", "size: 20 GB", 4, "disks[0].size: a size is expected"),
        ("role: swap", "role: root", 6, "one of deploy, swap, tmp, production, prod is expected"),
        ("number: 4", "number: 6", 7, "numbers 1 to 4, not 6"),
        ("{number: 4, size: 10 GiB, type: extended}", "{number: 2, size: 9}", 8, "has to be declared before"),
        ("size: 5 GiB", "size: 10 GiB", 8, "the extended one has 10240 MB"),
        ("size: 20 GiB", "size: 11 GiB", 7, "need 11265 MB with 1 MB for the table, but the disk has 11264 MB"),
        ("size: 20 GiB", "size: 20 GiB\n    table: gpt", 8, "on GPT every partition is a primary one"),
        ("[0e-10]", "[0e-11]", 11, "nodes[0].mac: 3 addresses are expected, as many as names, not 4"),
        ("ip: 10.0.0.[8-10]", "ip: 10.0.0.8", 12, "3 addresses are expected"),
        ("bmc: 10.1.0.[8-10]", "bmc: 10.1.0.8", 13, '"{name}" in it'),
        ("10.0.0.[8-10]", "10.0.0.[254-256]", 12, "an IPv4 address is expected"),
        ("node-[8-10]", "node-[10-8]", 10, "the range 10-8 has no or too many members"),
        ("node-[8-10]", "node-[8-10]x[1-2]", 10, "one range in brackets is expected"),
        ("[a, b]", "[a, node-9]", 14, "node-9 stands on line 10 already"),
        ("611d-74a6ab80b83e", "611d", 15, "a UUID is expected, such as b8945908-"),
        (", b8945908-d6a6-41a9-611d-74a6ab80b83e", "", 15, "2 addresses are expected, as many as names, not 1"),
        ("74a6ab80b83e", "74a6ab80b83d", 14, "b8945908-d6a6-41a9-611d-74a6ab80b83d stands on line 14 already"),
        ("cluster: lab", "klaster: lab", 1, "klaster: is no key here"),
        ("  - name: [a, b]\n", "  - bmc: x\n", 14, "nodes[1]: name is missing"),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected(old: str, new: str, line: int, expected: str) -> None:
    with pytest.raises(DescriptionFailure) as caught:
        nodes_yaml.parse(TEXT.replace(old, new, 1), "f")
    assert caught.value.message.startswith(f"f, line {line}: "), caught.value.message
    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("text", "source", "is_yaml"),
    [
        ("# x\n---\n", "-", True),
        ("nodes:\n", "f", True),
        ("node1 00:02:73:49:9c:8d 10.0.0.1\n", "f", False),
        ("node1 00:02:73:49:9c:8d 10.0.0.1\n", "f.yaml", True),
        ("name = d:\n", "f", False),
        ("name: d\n", "f", True),
        ("", "f", False),
    ],
)
def test_a_yaml_file_is_known_by_its_name_or_its_first_line(text: str, source: str, is_yaml: bool) -> None:
    assert looks_like_yaml(text, source) is is_yaml
