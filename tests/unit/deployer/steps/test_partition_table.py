"""Partition tables: whole scripts against golden files, and what no table may do."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_deployer.domain.snapshot import DiskSnapshot, PartitionSnapshot
from kadeploy_deployer.domain.vocabulary import PartitionRole, PartitionTable, PartitionType
from kadeploy_deployer.steps.partition_table import MIB, TableDoesNotFit, lay_out, partition_device, sfdisk_script
from tests.fakes.snapshots import DISK, GIB

GOLDEN = Path(__file__).parents[3] / "golden" / "sfdisk"

LOGICAL = DiskSnapshot(
    device="sda",
    size_bytes=80 * GIB,
    partitions=(
        PartitionSnapshot(number=1, size_bytes=2 * GIB, type_id=0x82, role=PartitionRole.SWAP),
        PartitionSnapshot(number=2, size_bytes=20 * GIB, role=PartitionRole.PRODUCTION),
        PartitionSnapshot(number=3, size_bytes=20 * GIB),
        PartitionSnapshot(number=4, size_bytes=30 * GIB, type=PartitionType.EXTENDED, type_id=0x05),
        PartitionSnapshot(number=5, size_bytes=10 * GIB, type=PartitionType.LOGICAL, role=PartitionRole.TMP),
        PartitionSnapshot(number=6, size_bytes=10 * GIB, type=PartitionType.LOGICAL),
    ),
)
GPT = DiskSnapshot(
    device="nvme0n1",
    size_bytes=20 * GIB,
    partition_table=PartitionTable.GPT,
    partitions=(
        PartitionSnapshot(number=1, size_bytes=512 * MIB, type_id=0xEF, label="EFI system"),
        PartitionSnapshot(
            number=2, size_bytes=2 * GIB, type_id=0x82, label='swap", type=evil', role=PartitionRole.SWAP
        ),
        PartitionSnapshot(number=4, size_bytes=10 * GIB, label="deploy"),
    ),
)
FULL = DiskSnapshot(
    device="vda",
    size_bytes=4 * GIB,
    partitions=(
        PartitionSnapshot(number=1, size_bytes=GIB, type_id=0x82, role=PartitionRole.SWAP),
        PartitionSnapshot(number=3, size_bytes=3 * GIB),
    ),
)
ODD = DiskSnapshot(
    device="vda",
    size_bytes=8_000_000_000,
    partitions=(
        PartitionSnapshot(number=1, size_bytes=1_500_000_000, type_id=0x82, role=PartitionRole.SWAP),
        PartitionSnapshot(number=2, size_bytes=5_000_000_001),
    ),
)


@pytest.mark.parametrize(
    ("name", "disk", "sector_bytes"),
    [
        ("mbr", DISK, 512),
        ("mbr-logical", LOGICAL, 512),
        ("gpt", GPT, 512),
        ("gpt-4096", GPT, 4096),
        ("mbr-full", FULL, 512),
        ("mbr-odd-sizes", ODD, 512),
    ],
)
def test_a_script_is_as_written_down(name: str, disk: DiskSnapshot, sector_bytes: int) -> None:
    script = sfdisk_script(disk, disk_bytes=disk.size_bytes, sector_bytes=sector_bytes, type_ids={3: 0x8E})
    golden = GOLDEN / f"{name}.sfdisk"
    if os.environ.get("GOLDEN") == "write":
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(script)
    assert script == golden.read_text()


def test_a_disk_that_is_too_small_is_told_with_both_numbers() -> None:
    with pytest.raises(
        TableDoesNotFit,
        match=r"partition 3 of vda needs 2,147,483,648 bytes and there are 267,386,880 left on a disk of 1,073,741,824",
    ):
        sfdisk_script(DISK, disk_bytes=GIB)


def test_only_the_last_partition_gives_way_and_only_by_the_room_of_the_table() -> None:
    slots = lay_out(FULL, disk_bytes=FULL.size_bytes)
    assert [slot.size for slot in slots] == [GIB, 3 * GIB - MIB]
    with pytest.raises(TableDoesNotFit):
        lay_out(FULL, disk_bytes=FULL.size_bytes - 4 * MIB)


def test_logical_partitions_that_fill_the_extended_one_give_way_at_the_end() -> None:
    parts = list(LOGICAL.partitions)
    parts[3] = replace(parts[3], size_bytes=20 * GIB)
    slots = lay_out(replace(LOGICAL, partitions=tuple(parts)), disk_bytes=LOGICAL.size_bytes)
    assert [slot.size for slot in slots][-2:] == [10 * GIB, 10 * GIB - 2 * MIB]


def test_partition_devices_of_disks_that_end_in_a_digit_have_a_p() -> None:
    assert partition_device("sda", 3) == "/dev/sda3"
    assert partition_device("nvme0n1", 3) == "/dev/nvme0n1p3"


@given(
    sizes=st.lists(st.integers(min_value=1, max_value=5 * GIB), min_size=1, max_size=4),
    table=st.sampled_from(PartitionTable),
    disk_bytes=st.integers(min_value=GIB, max_value=12 * GIB),
)
def test_no_partition_overlaps_another_or_leaves_the_disk(
    sizes: list[int], table: PartitionTable, disk_bytes: int
) -> None:
    parts = tuple(PartitionSnapshot(number=number, size_bytes=size) for number, size in enumerate(sizes, start=1))
    disk = DiskSnapshot(device="sda", size_bytes=disk_bytes, partition_table=table, partitions=parts)
    try:
        slots = lay_out(disk, disk_bytes=disk_bytes)
    except TableDoesNotFit:
        assert sum(sizes) + 6 * MIB > disk_bytes - len(sizes) * MIB
        return
    end = MIB
    for slot in slots:
        assert slot.start >= end
        assert slot.start % MIB == slot.size % MIB == 0
        end = slot.start + slot.size
    assert end <= disk_bytes - (MIB if table == "gpt" else 0)
    for slot, size in list(zip(slots, sizes, strict=True))[:-1]:
        assert slot.size >= size
