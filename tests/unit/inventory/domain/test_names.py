"""Names of nodes, users, environments and partitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_inventory.domain import names
from kadeploy_nodeset import natural_key


@pytest.mark.parametrize("name", ["n", "node-1", "node-1.lyon.example.org", "1st", "a" * 63])
def test_host_names_are_node_names(name: str) -> None:
    assert names.parse_node_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "Node-1", "node_1", "-n", "n-", "n..m", ".n", "n.", "n m", "n/1", "@all", "*", "a" * 64, "n\n", "é"],
)
def test_other_words_are_not_node_names(name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        names.parse_node_name(name)


@given(st.from_regex(r"[a-z0-9]{1,63}(\.[a-z0-9]{1,63}){0,3}", fullmatch=True))
def test_the_longest_key_has_room_in_its_column(name: str) -> None:
    assert len(natural_key(name)) <= 640


@pytest.mark.parametrize("word", sorted(names.RESERVED_ENVIRONMENT_NAMES))
def test_words_for_partitions_name_no_environment(word: str) -> None:
    assert names.parse_installed_name(word) == word
    with pytest.raises(ValueError, match="word of its own"):
        names.parse_environment_name(word)


@pytest.mark.parametrize("device", ["sda", "vda", "nvme0n1", "mmcblk0"])
def test_block_devices_are_named_without_dev(device: str) -> None:
    assert names.parse_device_name(device) == device
    with pytest.raises(ValueError, match="without /dev/"):
        names.parse_device_name(f"/dev/{device}")


@pytest.mark.parametrize("device", ["", "../sda", "SDA", "sd a", "1sda"])
def test_other_words_are_no_devices(device: str) -> None:
    with pytest.raises(ValueError, match="block device"):
        names.parse_device_name(device)


@pytest.mark.parametrize(("device", "word"), [("sda", "sda3"), ("nvme0n1", "nvme0n1p3"), ("vdb", "vdb3")])
def test_a_partition_is_called_as_the_kernel_calls_it(device: str, word: str) -> None:
    assert names.partition_word(device, 3) == word
    assert names.parse_partition_word(word) == word


@pytest.mark.parametrize("word", ["", "sda", "3", "/dev/sda3", "sda*", "SDA3"])
def test_other_words_are_no_partitions(word: str) -> None:
    with pytest.raises(ValueError, match="sda3"):
        names.parse_partition_word(word)
