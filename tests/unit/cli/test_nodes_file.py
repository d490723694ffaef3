"""The classic two-part description of nodes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions import disk_layout, nodes_file
from kadeploy_cli.descriptions.nodes_file import PartitionLine
from kadeploy_cli.descriptions.text import DescriptionFailure, decode

MIB = 1024 * 1024

MAN_PAGE = """\
node1 00:02:73:49:9C:8D 192.168.10.1
node2\t00:02:73:49:9C:8E   192.168.10.2

# the disk
\\# ------
hda 80000
1 1500 swap
2 10000 debian
3 20000 empty
"""


def test_the_example_of_the_manual_is_read() -> None:
    read = nodes_file.parse(MAN_PAGE, "nodes.txt")
    assert [(node.name, node.mac_address, node.ip_address) for node in read.nodes] == [
        ("node1", "00:02:73:49:9c:8d", "192.168.10.1"),
        ("node2", "00:02:73:49:9c:8e", "192.168.10.2"),
    ]
    assert (read.device, read.disk_size_bytes) == ("hda", 80000 * MIB)
    assert read.partitions[1] == PartitionLine(number=2, size_bytes=10000 * MIB, environment="debian")


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("192.168.10.1", "192.168.10", 1, "an IPv4 address is expected"),
        ("00:02:73:49:9C:8E", "00:02:73:49:9C", 2, "a MAC address is expected"),
        ("node1 ", "node_1 ", 1, "a host name is expected"),
        ("node2", "node1", 2, "node1 stands on line 1 already"),
        ("9C:8E", "9C:8D", 2, "00:02:73:49:9c:8d stands on line 1 already"),
        ("192.168.10.2", "192.168.10.2 extra", 2, '"name mac ip" is expected'),
        ("hda 80000", "hda", 6, '"device size" is expected'),
        ("hda 80000", "hda big", 6, "a size in MB is expected"),
        ("hda 80000", "1 80000", 6, "a device is expected"),
        ("1 1500 swap", "1 1500", 7, '"number size environment" is expected'),
        ("1 1500 swap", "0 1500 swap", 7, "a partition number from 1 to 63 is expected"),
        ("1 1500 swap", "1 -5 swap", 7, "a size in MB is expected"),
        ("3 20000 empty", "2 20000 empty", 9, "partition 2 stands on line 8 already"),
        ("3 20000 empty", "3 68500 empty", 9, "need 80001 MB with 1 MB for the table, but the disk has 80000 MB"),
        ("3 20000 empty", "5 20000 empty\n6 20000 x\n4 30000 extended", 10, "need 40002 MB"),
        ("3 20000 empty", "6 20000 empty", 9, "numbered from 5 without gaps: 5 is missing"),
        ("3 20000 empty", "3 100 extended\n4 100 extended", 10, "one extended partition at most"),
        ("hda 80000", "hda 8000000", 9, "an MBR reaches 2 TiB"),
        ("3 20000 empty", "5 100 extended", 9, "an extended partition has a number from 1 to 4"),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected(old: str, new: str, line: int, expected: str) -> None:
    text = MAN_PAGE.replace(old, new, 1)
    if "2 TiB" in expected:
        text = text.replace("3 20000", "3 3000000")
    with pytest.raises(DescriptionFailure) as caught:
        disk_layout.disk(nodes_file.parse(text, "nodes.txt"), "nodes.txt", gpt=False)
    assert caught.value.message.startswith(f"nodes.txt, line {line}: ")
    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node1 00:02:73:49:9C:8D 192.168.10.1\n", "has no separator"),
        ("\\#\nhda 1\n", "no node stands before the separator"),
        ("node1 00:02:73:49:9C:8D 192.168.10.1\n\\#\n", "ends after the separator"),
        ("node1 00:02:73:49:9C:8D 192.168.10.1\n\\#\nhda 10\n", "has no partition"),
        ("", "has no separator"),
    ],
)
def test_a_part_that_is_missing_is_told(text: str, expected: str) -> None:
    with pytest.raises(DescriptionFailure, match=expected):
        nodes_file.parse(text, "nodes.txt")


def test_roles_and_types_follow_from_number_and_word() -> None:
    text = MAN_PAGE + "5 100 tmp\n6 200 empty\n"
    disk, notices = disk_layout.disk(nodes_file.parse(text, "f"), "f", gpt=False)
    rows = {partition.number: partition for partition in disk.partitions}
    assert [partition.number for partition in disk.partitions] == [1, 2, 3, 4, 5, 6]
    assert (rows[1].role, rows[1].type_id) == (node_pb2.PARTITION_ROLE_SWAP, 0x82)
    assert (rows[5].role, rows[5].type) == (node_pb2.PARTITION_ROLE_TMP, node_pb2.PARTITION_TYPE_LOGICAL)
    assert (rows[4].type, rows[4].type_id) == (node_pb2.PARTITION_TYPE_EXTENDED, 0x05)
    assert rows[4].size_bytes == 302 * MIB
    assert "partition 4 was added" in notices[0]


def test_an_extended_partition_that_is_named_is_kept() -> None:
    text = MAN_PAGE + "4 5000 extended\n5 100 empty\n"
    disk, notices = disk_layout.disk(nodes_file.parse(text, "f"), "f", gpt=False)
    assert [partition.size_bytes for partition in disk.partitions if partition.number == 4] == [5000 * MIB]
    assert not notices


def test_logical_partitions_without_a_place_for_the_extended_one_are_refused() -> None:
    text = MAN_PAGE + "4 100 empty\n5 100 empty\n"
    with pytest.raises(DescriptionFailure, match="the numbers 1 to 4 are all taken"):
        disk_layout.disk(nodes_file.parse(text, "f"), "f", gpt=False)


def test_on_gpt_every_partition_is_primary() -> None:
    disk, _ = disk_layout.disk(nodes_file.parse(MAN_PAGE + "64 100 empty\n", "f", gpt=True), "f", gpt=True)
    assert {partition.type for partition in disk.partitions} == {node_pb2.PARTITION_TYPE_PRIMARY}
    assert disk.partition_table == node_pb2.PARTITION_TABLE_GPT


LINES = st.sampled_from([*MAN_PAGE.splitlines(), "5 1 x", "4 9 extended", "a b c d", "\\", "\x00", "é ü ß", "1 ٣ x"])


@given(st.lists(LINES | st.text(max_size=30), max_size=12).map("\n".join) | st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        read = nodes_file.parse(decode(text.encode("utf-8", errors="surrogatepass"), "f"), "f")
        disk_layout.disk(read, "f", gpt=False)
    except DescriptionFailure as failure:
        said = failure.message
    else:
        assert read.nodes
        assert read.partitions
        said = "fine"
    assert said.startswith("f")
