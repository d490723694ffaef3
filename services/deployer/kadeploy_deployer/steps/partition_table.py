"""The partition table of a disk as sfdisk reads it. Pure: numbers in, text out.

Partitions lie in the order of their numbers and begin at whole MiB. The table itself takes room too (the first MiB, a
MiB before each logical partition, the last MiB of a GPT), so partitions that fill the disk on paper cannot all have
their size: the last one gives way by that much, and by no more.
"""

from dataclasses import dataclass

from kadeploy_deployer.domain.snapshot import DiskSnapshot, PartitionSnapshot, partition_name
from kadeploy_deployer.domain.vocabulary import PartitionTable, PartitionType

MIB = 1024 * 1024
EXTENDED_TYPE_ID = 0x05
LINUX_GUID = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
GUIDS = {
    0x82: "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
    0x83: LINUX_GUID,
    0x8E: "E6D6D379-F507-44C2-A23C-238F2A3DF928",
    0xEF: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    0xFD: "A19D880F-05FC-4D3B-A006-743F0F84911E",
    0x07: "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
    0x0B: "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
    0x0C: "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
}
"""GPT's types for MBR's type bytes; any other byte becomes a Linux file system."""


class TableDoesNotFit(Exception):
    """The partitions need more room than the disk has; `str()` is one sentence with both numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where a partition lies, in bytes."""

    partition: PartitionSnapshot
    start: int
    size: int


def lay_out(disk: DiskSnapshot, *, disk_bytes: int) -> tuple[Slot, ...]:
    """Returns the place of each partition on a disk of the given real size.

    Raises:
        TableDoesNotFit: even without room for the table itself.
    """
    end_of_disk = disk_bytes - (MIB if disk.partition_table is PartitionTable.GPT else 0)
    slots: list[Slot] = []
    cursor = MIB
    logical_cursor = end_of_extended = 0
    bookkeeping = disk_bytes - end_of_disk + MIB
    for part in disk.partitions:
        size = _up(part.size_bytes)
        if part.type is PartitionType.LOGICAL:
            start, limit = logical_cursor + MIB, end_of_extended
            bookkeeping += MIB
        else:
            start, limit = cursor, end_of_disk
        size = _fitted(disk, part, size, room=limit - start, give=bookkeeping, disk_bytes=disk_bytes)
        slots.append(Slot(partition=part, start=start, size=size))
        if part.type is PartitionType.LOGICAL:
            logical_cursor = start + size
            continue
        cursor = start + size
        if part.type is PartitionType.EXTENDED:
            logical_cursor, end_of_extended = start, start + size
    return tuple(slots)


def sfdisk_script(
    disk: DiskSnapshot, *, disk_bytes: int, sector_bytes: int = 512, type_ids: dict[int, int] | None = None
) -> str:
    """Returns the script that makes the table.

    Args:
        disk: as the inventory wants it.
        disk_bytes: real size.
        sector_bytes: logical sector size of the real disk.
        type_ids: type bytes by partition number, in place of the inventory's.

    Raises:
        TableDoesNotFit: the disk is too small.
    """
    gpt = disk.partition_table is PartitionTable.GPT
    lines = [
        f"label: {'gpt' if gpt else 'dos'}",
        "unit: sectors",
        f"sector-size: {sector_bytes}",
        "",
    ]
    for slot in lay_out(disk, disk_bytes=disk_bytes):
        part = slot.partition
        type_id = (type_ids or {}).get(part.number, part.type_id)
        fields = [
            f"start={slot.start // sector_bytes}",
            f"size={slot.size // sector_bytes}",
            f"type={_type(part, type_id, gpt=gpt)}",
        ]
        if gpt and _name(part.label):
            fields.append(f'name="{_name(part.label)}"')
        lines.append(f"{partition_device(disk.device, part.number)} : {', '.join(fields)}")
    return "\n".join(lines) + "\n"


def partition_device(device: str, number: int) -> str:
    """Returns the device file of a partition: "/dev/sda3", "/dev/nvme0n1p3"."""
    return f"/dev/{partition_name(device, number)}"


def _fitted(disk: DiskSnapshot, part: PartitionSnapshot, size: int, *, room: int, give: int, disk_bytes: int) -> int:
    if size <= room:
        return size
    last = not any(other.number > part.number and other.type is not PartitionType.LOGICAL for other in disk.partitions)
    may_give = last if part.type is not PartitionType.LOGICAL else part.number == disk.partitions[-1].number
    if may_give and room >= MIB and size - room <= give + MIB:
        return room // MIB * MIB
    raise TableDoesNotFit(
        f"partition {part.number} of {disk.device} needs {size:,} bytes and there are {max(room, 0):,} left "
        f"on a disk of {disk_bytes:,} bytes"
    )


def _up(size: int) -> int:
    return -(-size // MIB) * MIB


def _type(part: PartitionSnapshot, type_id: int, *, gpt: bool) -> str:
    if gpt:
        return GUIDS.get(type_id, LINUX_GUID)
    return f"{EXTENDED_TYPE_ID if part.type == 'extended' else type_id:x}"


def _name(label: str) -> str:
    """Returns a label that cannot end its quotes, as long as GPT takes it."""
    return "".join(char for char in label if char.isalnum() or char in " ._-")[:36]
