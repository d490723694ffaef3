"""A boot entry: what one node boots until the entry is changed or cleared."""

import ipaddress
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from kadeploy_bootctl.domain.boot_target import BootTarget
from kadeploy_bootctl.domain.errors import InvalidBootEntry
from kadeploy_bootctl.domain.texts import check_owner, is_node_name

_MAC_ADDRESS = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
# What boards without a UUID of their own say.
_NO_UUIDS = frozenset(f"{8 * digit}-{4 * digit}-{4 * digit}-{4 * digit}-{12 * digit}" for digit in "0f")
# GRUB asks for the names that pxelinux asks for, with this before them.
GRUB_PREFIX = "grub.cfg-"
_NO_ADDRESS = "00:00:00:00:00:00"


class Firmware(StrEnum):
    """How the machine starts."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootNode:
    """The machine as its network card shows itself: MAC address lower-case with colons, IPv4 address dotted.

    `uuid` is what its firmware calls the machine, as its operating system shows it; empty when nobody told.
    """

    name: str
    mac_address: str
    ip_address: str
    firmware: Firmware = Firmware.BIOS
    uuid: str = ""

    def __post_init__(self) -> None:
        if not is_node_name(self.name):
            raise InvalidBootEntry("node.name", "must be a host name")
        if not _MAC_ADDRESS.match(self.mac_address):
            raise InvalidBootEntry("node.mac_address", "must be six bytes, lower-case hexadecimal, with colons")
        if self.mac_address == _NO_ADDRESS or int(self.mac_address[:2], 16) & 1:
            raise InvalidBootEntry("node.mac_address", "must be the address of one network card")
        if self.uuid and (not _UUID.match(self.uuid) or self.uuid in _NO_UUIDS):
            raise InvalidBootEntry("node.uuid", "must be the machine's own UUID, lower-case hexadecimal, with dashes")
        try:
            address = ipaddress.IPv4Address(self.ip_address)
        except ipaddress.AddressValueError:
            raise InvalidBootEntry("node.ip_address", "must be a dotted IPv4 address") from None
        if address.is_unspecified or address.is_multicast or address.is_loopback or int(address) == 2**32 - 1:
            raise InvalidBootEntry("node.ip_address", "must be the address of one machine")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootEntry:
    """One node and its target. Two entries are equal when the machine would boot the same for the same owner."""

    node: BootNode
    target: BootTarget
    owner: str = ""
    update_time: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_owner("owner", self.owner)


def hardware_name(node: BootNode) -> str:
    """Returns the name that pxelinux asks for by network card: ARP type 1 (Ethernet) and the MAC address."""
    return f"01-{node.mac_address.replace(':', '-')}"


def address_name(node: BootNode) -> str:
    """Returns the name that pxelinux asks for by address: the IPv4 address as 8 upper-case hexadecimal digits."""
    return f"{int(ipaddress.IPv4Address(node.ip_address)):08X}"


def uuid_names(node: BootNode) -> tuple[str, ...]:
    """Returns the names that pxelinux may ask for by UUID; none when it is not known.

    pxelinux prints the bytes as they lie in memory. Since SMBIOS 2.6 those of the first three groups lie there the
    other way round than operating systems show them; older firmware, and some network cards, do not turn them.
    """
    if not node.uuid:
        return ()
    turned = str(UUID(bytes_le=UUID(node.uuid).bytes))
    return tuple(dict.fromkeys((turned, node.uuid)))


def file_names(node: BootNode) -> tuple[str, ...]:
    """Returns the names of the node's files, in the order in which its loader asks for them."""
    names = (hardware_name(node), address_name(node))
    if node.firmware is Firmware.UEFI:
        return tuple(f"{GRUB_PREFIX}{name}" for name in names)
    return (*uuid_names(node), *names)
