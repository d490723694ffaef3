"""The rules of MBR and GPT."""

from dataclasses import replace

import pytest

from kadeploy_inventory.domain.partition_table import (
    MIB,
    Disk,
    Partition,
    PartitionRole,
    PartitionTable,
    PartitionType,
    check_disk_values,
    check_table,
    complete_disk,
)
from kadeploy_inventory.domain.problems import Problems
from tests.unit.inventory.builders import GIB, disk, extended, partition


def wrong(spoilt: Disk) -> list[str]:
    problems = Problems()
    complete = complete_disk(spoilt)
    check_disk_values(complete, problems)
    check_table(complete, problems)
    return [f"{each.field}: {each.description}" for each in problems.found]


def test_a_plain_disk_is_accepted() -> None:
    assert wrong(disk(partition(1), partition(2), partition(3), partition(4))) == []


def test_logical_partitions_live_in_an_extended_one() -> None:
    assert wrong(disk(partition(1), extended(), partition(5), partition(6))) == []


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (disk(partition(3), partition(3)), "number 3 2 times"),
        (disk(partition(0)), "from 1 to 4"),
        (disk(partition(5, type=PartitionType.PRIMARY)), "from 1 to 4"),
        (disk(extended(), partition(3, type=PartitionType.LOGICAL)), "from 5 to 60"),
        (disk(extended(3), extended(4, GIB)), "one extended partition"),
        (disk(partition(5)), "no extended one"),
        (disk(extended(), partition(6)), "from 5 without gaps"),
        (disk(extended(4, GIB), partition(5, GIB)), "the extended one has"),
        (disk(replace(extended(), type_id=0x83)), "for an extended partition and for no other, not 0x83"),
        (disk(partition(1, type_id=0x0F)), "for an extended partition and for no other, not 0x0f"),
        (disk(partition(1, 8 * GIB)), "but the disk has"),
        (disk(partition(1, 0)), "size_bytes: must be positive"),
        (disk(partition(1, type_id=0x183)), "from 1 to 255"),
        (disk(partition(1, label="a\nb")), "one line"),
        (disk(partition(1, label="x" * 37)), "36 characters"),
        (disk(partition(1, environment="a b")), "environment"),
        (disk(partition(1), size_bytes=-1), "size_bytes: must be positive"),
        (disk(partition(1), device="/dev/sda"), "without /dev/"),
        (disk(partition(1, 3 * 1024 * GIB), size_bytes=4 * 1024 * GIB), "use GPT"),
    ],
)
def test_what_a_table_cannot_hold_is_said(spoilt: Disk, said: str) -> None:
    assert any(said in sentence for sentence in wrong(spoilt)), wrong(spoilt)


def test_partitions_fill_the_disk_but_for_the_table_s_own_space() -> None:
    assert wrong(disk(partition(1, 8 * GIB - MIB))) == []
    assert wrong(disk(partition(1, 8 * GIB - MIB + 1)))


@pytest.mark.parametrize("number", [1, 5, 128])
def test_gpt_has_primary_partitions_of_any_number(number: int) -> None:
    assert wrong(disk(partition(number), partition_table=PartitionTable.GPT)) == []


@pytest.mark.parametrize("spoilt", [extended(1), partition(129), partition(1, 8 * GIB - MIB)])
def test_gpt_refuses_what_is_mbr_s_and_what_does_not_fit(spoilt: Partition) -> None:
    assert wrong(disk(spoilt, partition_table=PartitionTable.GPT))


def test_what_is_left_out_is_filled_in() -> None:
    filled = complete_disk(disk(partition(5), partition(1, environment="swap"), extended(), partition(2)))
    assert [(each.number, each.type, each.role, each.type_id, each.environment) for each in filled.partitions] == [
        (1, PartitionType.PRIMARY, PartitionRole.SWAP, 0x82, "swap"),
        (2, PartitionType.PRIMARY, PartitionRole.DEPLOY, 0x83, "undefined"),
        (4, PartitionType.EXTENDED, PartitionRole.UNSPECIFIED, 0x05, "undefined"),
        (5, PartitionType.LOGICAL, PartitionRole.DEPLOY, 0x83, "undefined"),
    ]


def test_filling_in_twice_changes_nothing_more() -> None:
    filled = complete_disk(disk(extended(), partition(5), partition(1, environment="tmp")))
    assert complete_disk(filled) == filled
    assert complete_disk(replace(filled, partitions=filled.partitions[::-1])) == filled
