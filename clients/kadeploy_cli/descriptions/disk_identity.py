"""How a description names a disk, and which of the machine's disks that is.

A plain name (`sda`) is the kernel's. Whatever else names a disk (a link below /dev/disk, `cciss/c0d0`,
`mapper/mpatha`, what stands under `match`) becomes its identity, and the disk gets a plain name for its partitions.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions.text import DescriptionFailure, shown
from kadeploy_cli.descriptions.yaml_text import Place

PLAIN = re.compile(r"[a-z][a-z0-9]{0,30}")
FILE = re.compile(r"((?:cciss|ida|rd)/c[0-9]{1,2}d[0-9]{1,3}|mapper/[A-Za-z0-9][\w.+-]{0,99})")
LINK = re.compile(r"(?:disk/)?(by-(?:id|path)/[A-Za-z0-9][!-.0-~]{0,199})")
MATCH_KEYS = ("serial", "wwn", "link", "kernel", "size")
FILES = "cciss/c0d0 and mapper/mpatha are others"
LINKS = "disk/by-path/… and disk/by-id/… as well"
LETTERS = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDisk:
    """A disk's plain name, and its identity where the name is not the kernel's."""

    name: str
    identity: node_pb2.DiskIdentity | None = None


def read_device(text: str, *, place: int, failure: Callable[[str], DescriptionFailure]) -> NamedDisk:
    """Returns the disk of a device's name.

    Args:
        text: as it was written, with or without "/dev/".
        place: of the disk among those of its node, from 0.
        failure: makes the error of text that names no disk.
    """
    name = text.removeprefix("/dev/")
    if PLAIN.fullmatch(name):
        return NamedDisk(name=name)
    if FILE.fullmatch(name):
        plain = name.partition("/")[2]
        chosen = plain if PLAIN.fullmatch(plain) else plain_name(place)
        return NamedDisk(name=chosen, identity=node_pb2.DiskIdentity(kernel_name=name))
    if link := LINK.fullmatch(name):
        return NamedDisk(name=plain_name(place), identity=node_pb2.DiskIdentity(link=link[1]))
    raise failure(f"a device is expected, such as sda, not {shown(text)} ({FILES}, {LINKS})")


def plain_name(place: int) -> str:
    """Returns the name of a disk that was given none: "sda" for the first of a node, "sdb" for the second."""
    return f"sd{chr(ord('a') + place)}" if place < LETTERS else f"disk{place}"


def read_match(place: Place, size: Callable[[Place], int]) -> node_pb2.DiskIdentity:
    """Returns the identity under `match`. `size` reads a size."""
    fields = place.fields(MATCH_KEYS)
    if not fields:
        raise place.failure(f"at least one of {', '.join(MATCH_KEYS)} is expected")
    identity = node_pb2.DiskIdentity()
    for key in ("serial", "wwn"):
        if key in fields:
            setattr(identity, key, fields[key].text().strip())
    if "link" in fields:
        link = LINK.fullmatch(fields["link"].text().removeprefix("/dev/"))
        if not link:
            raise fields["link"].failure("a link is expected, such as by-path/pci-0000:17:00.0-scsi-0:0:0:0")
        identity.link = link[1]
    if "kernel" in fields:
        name = fields["kernel"].text().removeprefix("/dev/")
        if not PLAIN.fullmatch(name) and not FILE.fullmatch(name):
            raise fields["kernel"].failure(f"a device is expected, such as sda, not {shown(name)} ({FILES})")
        identity.kernel_name = name
    if "size" in fields:
        identity.size_bytes = size(fields["size"])
    return identity
