"""What a partition table can hold, told at the line where it is not kept. The inventory checks the same once more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions.text import DescriptionFailure

MEBIBYTE = 1 << 20
FIRST_LOGICAL = 5
LAST_LOGICAL = 60
LAST_GPT = 128
EXTENDED_TYPE_IDS = frozenset({0x05, 0x0F, 0x85})
MBR_MAXIMUM_BYTES = 2**32 * 512
PRIMARY, EXTENDED, LOGICAL = (
    node_pb2.PARTITION_TYPE_PRIMARY,
    node_pb2.PARTITION_TYPE_EXTENDED,
    node_pb2.PARTITION_TYPE_LOGICAL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A partition as it is declared, and how an error about it is told."""

    partition: node_pb2.Partition
    failure: Callable[[str], DescriptionFailure]


def check(declared: Sequence[Declared], *, disk_bytes: int, gpt: bool) -> None:
    """Raises DescriptionFailure at the first partition, in the order of the file, that the table cannot hold."""
    seen: set[int] = set()
    for each in declared:
        number = each.partition.number
        if number in seen:
            raise each.failure(f"the number {number} stands twice")
        seen.add(number)
    for position, each in enumerate(declared):
        if gpt:
            _gpt(each)
        else:
            _mbr(each, [earlier.partition for earlier in declared[:position]])
    if not gpt:
        _logical(declared)
    _room(declared, disk_bytes=disk_bytes, gpt=gpt)


def _gpt(each: Declared) -> None:
    partition = each.partition
    if partition.type != PRIMARY:
        raise each.failure("on GPT every partition is a primary one")
    if not 1 <= partition.number <= LAST_GPT:
        raise each.failure(f"a number from 1 to {LAST_GPT} is expected on GPT, not {partition.number}")


def _mbr(each: Declared, earlier: Sequence[node_pb2.Partition]) -> None:
    partition = each.partition
    extended = any(other.type == EXTENDED for other in earlier)
    if (partition.type == EXTENDED) != (partition.type_id in EXTENDED_TYPE_IDS):
        raise each.failure(
            f"the type byte is 05, 0f or 85 for an extended partition and for no other, not {partition.type_id:02x}"
        )
    if partition.type == LOGICAL:
        if not FIRST_LOGICAL <= partition.number <= LAST_LOGICAL:
            raise each.failure(
                f"a logical partition has a number from {FIRST_LOGICAL} to {LAST_LOGICAL}, not {partition.number}"
            )
        if not extended:
            raise each.failure("the extended partition has to be declared before the logical ones that it holds")
        return
    if not 1 <= partition.number < FIRST_LOGICAL:
        raise each.failure(
            f"an MBR has at most four primary partitions, the extended one among them: numbers 1 to 4, "
            f"not {partition.number}"
        )
    if partition.type == EXTENDED and extended:
        raise each.failure("an MBR has one extended partition at most")


def _logical(declared: Sequence[Declared]) -> None:
    inner = sorted((each for each in declared if each.partition.type == LOGICAL), key=lambda e: e.partition.number)
    holder = next((each.partition for each in declared if each.partition.type == EXTENDED), None)
    used = 0
    for expected, each in enumerate(inner, start=FIRST_LOGICAL):
        if each.partition.number != expected:
            raise each.failure(f"logical partitions are numbered from 5 without gaps: {expected} is missing")
        # Each is led by a record of its own, for which a mebibyte is set aside.
        used += each.partition.size_bytes + MEBIBYTE
        if holder is not None and used > holder.size_bytes:
            raise each.failure(
                f"the logical partitions up to this one need {used // MEBIBYTE} MB (1 MB each for their records), "
                f"but the extended one has {holder.size_bytes // MEBIBYTE} MB"
            )


def _room(declared: Sequence[Declared], *, disk_bytes: int, gpt: bool) -> None:
    overhead = 2 * MEBIBYTE if gpt else MEBIBYTE
    used = overhead
    for each in declared:
        if each.partition.type == LOGICAL:
            continue
        used += each.partition.size_bytes
        if used > disk_bytes:
            raise each.failure(
                f"the partitions up to this one need {used // MEBIBYTE} MB with {overhead // MEBIBYTE} MB for the "
                f"table, but the disk has {disk_bytes // MEBIBYTE} MB"
            )
        if not gpt and used > MBR_MAXIMUM_BYTES:
            raise each.failure("an MBR reaches 2 TiB and not beyond; use GPT")
