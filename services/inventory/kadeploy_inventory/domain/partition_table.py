"""Disks and partitions, and what a partition table can hold."""

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum

from kadeploy_inventory.domain.disk_identity import NO_IDENTITY, DiskIdentity, check_identity
from kadeploy_inventory.domain.names import UNDEFINED, parse_device_name, parse_installed_name
from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.domain.texts import parse_line

MIB = 1024 * 1024
# The table itself and the alignment of the first partition take the first mebibyte; a GPT's copy takes the last
# one, and each logical partition of an MBR is led by a record of its own.
OVERHEAD_BYTES = MIB
MBR_PRIMARY_NUMBERS = range(1, 5)
MBR_LOGICAL_NUMBERS = range(5, 61)
MBR_MAXIMUM_BYTES = 2**32 * 512
GPT_NUMBERS = range(1, 129)
LINUX, SWAP, EXTENDED = 0x83, 0x82, 0x05
# A partition of one of these types is an extended one to whoever reads the table, whatever else is said of it.
EXTENDED_TYPE_IDS = frozenset({EXTENDED, 0x0F, 0x85})
MAXIMUM_TYPE_ID = 0xFF
# What a GPT has room for.
MAXIMUM_LABEL = 36


class PartitionTable(StrEnum):
    """The format of a partition table."""

    MBR = "mbr"
    GPT = "gpt"


class PartitionType(StrEnum):
    """The place of a partition in the table."""

    UNSPECIFIED = "unspecified"
    PRIMARY = "primary"
    EXTENDED = "extended"
    LOGICAL = "logical"


class PartitionRole(StrEnum):
    """The use of a partition."""

    UNSPECIFIED = "unspecified"
    DEPLOY = "deploy"
    SWAP = "swap"
    TMP = "tmp"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition of a disk, as it is to be made."""

    number: int
    size_bytes: int
    type: PartitionType = PartitionType.UNSPECIFIED
    type_id: int = 0
    label: str = ""
    role: PartitionRole = PartitionRole.UNSPECIFIED
    environment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One disk of a node. `device`: its name here, and the kernel's for it where the identity says nothing."""

    device: str
    size_bytes: int
    partition_table: PartitionTable = PartitionTable.MBR
    partitions: tuple[Partition, ...] = ()
    identity: DiskIdentity = NO_IDENTITY


def complete_disk(disk: Disk) -> Disk:
    """Returns the disk with its partitions in order and what was left out filled in."""
    filled = [_complete_partition(partition, disk.partition_table) for partition in disk.partitions]
    return replace(disk, partitions=tuple(sorted(filled, key=lambda partition: partition.number)))


def _complete_partition(partition: Partition, table: PartitionTable) -> Partition:
    kind = partition.type
    if kind is PartitionType.UNSPECIFIED:
        logical = table is PartitionTable.MBR and partition.number in MBR_LOGICAL_NUMBERS
        kind = PartitionType.LOGICAL if logical else PartitionType.PRIMARY
    role = partition.role
    if role is PartitionRole.UNSPECIFIED and kind is not PartitionType.EXTENDED:
        words = {"swap": PartitionRole.SWAP, "tmp": PartitionRole.TMP}
        role = words.get(partition.environment, PartitionRole.DEPLOY)
    if partition.type_id:
        type_id = partition.type_id
    elif kind is PartitionType.EXTENDED:
        type_id = EXTENDED
    else:
        type_id = SWAP if role is PartitionRole.SWAP else LINUX
    environment = partition.environment or UNDEFINED
    return replace(partition, type=kind, role=role, type_id=type_id, environment=environment)


def check_disk_values(disk: Disk, problems: Problems) -> None:
    """Adds what is wrong with single values; the places of partitions are those of the disk given."""
    problems.take("device", parse_device_name, disk.device)
    if disk.size_bytes <= 0:
        problems.add("size_bytes", f"must be positive, not {disk.size_bytes}")
    check_identity(disk.identity, problems.under("identity"))
    for index, partition in enumerate(disk.partitions):
        here = problems.under(f"partitions[{index}]")
        if partition.size_bytes <= 0:
            here.add("size_bytes", f"must be positive, not {partition.size_bytes}")
        if not 0 < partition.type_id <= MAXIMUM_TYPE_ID:
            here.add("type_id", f"must be from 1 to {MAXIMUM_TYPE_ID}, not {partition.type_id}")
        here.take("label", parse_line, partition.label)
        if len(partition.label) > MAXIMUM_LABEL:
            here.add("label", f"must not be longer than {MAXIMUM_LABEL} characters")
        here.take("environment", parse_installed_name, partition.environment)


def check_table(disk: Disk, problems: Problems) -> None:
    """Adds what the disk's partition table cannot hold."""
    counts = Counter(partition.number for partition in disk.partitions)
    for number, count in sorted(counts.items()):
        if count > 1:
            problems.add("partitions", f"have the number {number} {count} times")
    if disk.partition_table is PartitionTable.MBR:
        _check_mbr(disk, problems)
    else:
        _check_gpt(disk, problems)


def _check_mbr(disk: Disk, problems: Problems) -> None:
    for index, partition in enumerate(disk.partitions):
        logical = partition.type is PartitionType.LOGICAL
        numbers = MBR_LOGICAL_NUMBERS if logical else MBR_PRIMARY_NUMBERS
        if partition.number not in numbers:
            problems.add(
                f"partitions[{index}].number",
                f"of a {partition.type} partition is from {numbers[0]} to {numbers[-1]}, not {partition.number}",
            )
        if (partition.type is PartitionType.EXTENDED) != (partition.type_id in EXTENDED_TYPE_IDS):
            problems.add(
                f"partitions[{index}].type_id",
                f"is 0x05, 0x0f or 0x85 for an extended partition and for no other, not {partition.type_id:#04x}",
            )
    outer = [partition for partition in disk.partitions if partition.type is not PartitionType.LOGICAL]
    extended = [partition for partition in outer if partition.type is PartitionType.EXTENDED]
    inner = [partition for partition in disk.partitions if partition.type is PartitionType.LOGICAL]
    if len(extended) > 1:
        problems.add("partitions", "can have one extended partition, not more")
    if inner and not extended:
        problems.add("partitions", f"have a logical one ({inner[0].number}) but no extended one to hold it")
    numbers_found = [partition.number for partition in inner]
    if numbers_found != list(range(5, 5 + len(inner))):
        problems.add("partitions", "of type logical are numbered from 5 without gaps")
    needed = sum(partition.size_bytes + OVERHEAD_BYTES for partition in inner)
    if extended and needed > extended[0].size_bytes:
        problems.add(
            "partitions",
            f"of type logical need {needed} bytes, but the extended one has {extended[0].size_bytes}",
        )
    needed = sum(partition.size_bytes for partition in outer) + OVERHEAD_BYTES
    _check_room(disk, needed, problems)
    if needed > MBR_MAXIMUM_BYTES:
        problems.add("partition_table", "of type MBR reaches 2 TiB and not beyond; use GPT")


def _check_gpt(disk: Disk, problems: Problems) -> None:
    for index, partition in enumerate(disk.partitions):
        if partition.type is not PartitionType.PRIMARY:
            problems.add(f"partitions[{index}].type", f"must be primary on GPT, not {partition.type}")
        if partition.number not in GPT_NUMBERS:
            problems.add(f"partitions[{index}].number", f"is from 1 to 128 on GPT, not {partition.number}")
    needed = sum(partition.size_bytes for partition in disk.partitions) + 2 * OVERHEAD_BYTES
    _check_room(disk, needed, problems)


def _check_room(disk: Disk, needed: int, problems: Problems) -> None:
    if disk.partitions and needed > disk.size_bytes > 0:
        problems.add(
            "partitions",
            f"need {needed} bytes with the table's own space, but the disk has {disk.size_bytes}",
        )
