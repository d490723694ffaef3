"""Which of a node's disks a disk of the inventory is. Pure: what the node says in, one disk or a sentence out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kadeploy_deployer.domain.snapshot import DiskIdentity

SIZE_TOLERANCE = 0.01
_WWN_PREFIX = re.compile(r"^(wwn-)?(0x|naa\.|eui\.|t10\.|nvme\.)?", re.IGNORECASE)
MOST_SHOWN = 8
_UNITS = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20))


class NoSuchDisk(Exception):
    """No disk fits, or more than one; `str()` is a clause that says what is there instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentDisk:
    """A disk that is there. `name`: of its device file without "/dev/"; `links`: below /dev/disk."""

    name: str
    size_bytes: int
    serial: str = ""
    wwn: str = ""
    model: str = ""
    transport: str = ""
    removable: bool = False
    links: tuple[str, ...] = ()


def find_disk(device: str, identity: DiskIdentity, present: Sequence[PresentDisk]) -> PresentDisk:
    """Returns the disk that the inventory means.

    Args:
        device: its name in the inventory, which is the kernel's where the identity says nothing.
        identity: what else has to hold.
        present: the node's disks.

    Raises:
        NoSuchDisk: none fits, or several do that are not paths to the same disk.
    """
    wanted = identity if identity != DiskIdentity() else DiskIdentity(kernel_name=device)
    fitting = [disk for disk in present if _fits(wanted, disk)]
    if not fitting:
        raise NoSuchDisk(f"no disk here has {in_words(wanted)}; there {_listed(present, wanted)}")
    first = fitting[0]
    # A disk that several controllers or cables lead to has the same World Wide Name on each of them.
    same = first.wwn and all((disk.wwn, disk.serial) == (first.wwn, first.serial) for disk in fitting)
    if len(fitting) > 1 and not same:
        names = ", ".join(disk.name for disk in fitting)
        raise NoSuchDisk(
            f"{len(fitting)} disks here have {in_words(wanted)}: {names}; say more of disk {device} in the inventory; "
            f"there {_listed(fitting, wanted)}"
        )
    return first


def in_words(identity: DiskIdentity) -> str:
    """Returns an identity as sentences name it: "serial S3Z9 and WWN 0x5000"."""
    named = (
        ("the serial number", identity.serial),
        ("the WWN", identity.wwn),
        ("the link", identity.link),
        ("the name", identity.kernel_name),
        ("the size", size_in_words(identity.size_bytes) if identity.size_bytes else ""),
    )
    return " and ".join(f"{name} {value}" for name, value in named if value)


def size_in_words(size_bytes: int) -> str:
    """Returns a size as people read it: "447.1 GiB"."""
    for unit, factor in _UNITS:
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"


def _fits(identity: DiskIdentity, disk: PresentDisk) -> bool:
    return (
        (not identity.serial or identity.serial.casefold() == disk.serial.casefold())
        and (not identity.wwn or (bool(disk.wwn) and _number(identity.wwn) == _number(disk.wwn)))
        and (not identity.link or identity.link in disk.links)
        and (not identity.kernel_name or identity.kernel_name == disk.name)
        and (
            not identity.size_bytes
            or abs(identity.size_bytes - disk.size_bytes) <= identity.size_bytes * SIZE_TOLERANCE
        )
    )


def _number(wwn: str) -> str:
    return _WWN_PREFIX.sub("", wwn).lower()


def _listed(disks: Sequence[PresentDisk], identity: DiskIdentity) -> str:
    """Returns the disks in words, each with what the identity asks for."""
    if not disks:
        return "is none at all"
    shown = "; ".join(_shown(disk, identity) for disk in disks[:MOST_SHOWN])
    more = f"; and {len(disks) - MOST_SHOWN} more" if len(disks) > MOST_SHOWN else ""
    return f"{'is' if len(disks) == 1 else 'are'} {shown}{more}"


def _shown(disk: PresentDisk, identity: DiskIdentity) -> str:
    kind = identity.link.partition("/")[0]
    values = (
        size_in_words(disk.size_bytes),
        f"serial {disk.serial or 'none'}" if identity.serial else "",
        f"WWN {disk.wwn or 'none'}" if identity.wwn else "",
        next((link for link in disk.links if link.startswith(f"{kind}/")), f"no {kind}") if kind else "",
    )
    return f"{disk.name} ({', '.join(filter(None, values))})"
