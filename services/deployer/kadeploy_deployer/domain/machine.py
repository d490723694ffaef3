"""What a machine is made of, and in what it differs from what the inventory says of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from kadeploy_deployer.domain.disk_match import NoSuchDisk, PresentDisk, find_disk, size_in_words
from kadeploy_deployer.domain.snapshot import NodeSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCard:
    """A network card. `is_boot_card`: the machine booted from it."""

    name: str
    mac_address: str
    driver: str = ""
    path: str = ""
    is_boot_card: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine as it describes itself. `booted_as`: the node that its kernel was told to be."""

    address: str
    boot_id: str = ""
    booted_as: str = ""
    uuid: str = ""
    vendor: str = ""
    product: str = ""
    serial: str = ""
    firmware: str = ""
    memory_bytes: int = 0
    processors: int = 0
    sockets: int = 0
    processor_model: str = ""
    console: str = ""
    controller_address: str = ""
    cards: tuple[NetworkCard, ...] = ()
    disks: tuple[PresentDisk, ...] = ()


def known_disks(machine: Machine, node: NodeSnapshot) -> Mapping[str, str]:
    """Returns the inventory's names of the disks that are there, by the names of their device files."""
    found: dict[str, str] = {}
    for disk in node.disks:
        try:
            found[find_disk(disk.device, disk.identity, machine.disks).name] = disk.device
        except NoSuchDisk:
            continue
    return found


def differences(machine: Machine, node: NodeSnapshot) -> tuple[str, ...]:
    """Returns in what a machine differs from its description, one sentence each."""
    return (*_identity(machine, node), *_disks(machine, node))


def _identity(machine: Machine, node: NodeSnapshot) -> list[str]:
    found = []
    booted = [card.mac_address for card in machine.cards if card.is_boot_card]
    cards = [card.mac_address for card in machine.cards]
    if node.mac_address not in cards:
        found.append(f"no card has the MAC address {node.mac_address}; there are {', '.join(cards) or 'none'}")
    elif booted and node.mac_address not in booted:
        found.append(f"it boots from the card {', '.join(booted)}, and the inventory says {node.mac_address}")
    if machine.firmware and machine.firmware != node.firmware:
        found.append(f"its firmware is {machine.firmware}, and the inventory says {node.firmware}")
    if node.uuid and machine.uuid and machine.uuid != node.uuid:
        found.append(f"its UUID is {machine.uuid}, and the inventory says {node.uuid}")
    return found


def _disks(machine: Machine, node: NodeSnapshot) -> list[str]:
    found = []
    known = set[str]()
    for disk in node.disks:
        try:
            present = find_disk(disk.device, disk.identity, machine.disks)
        except NoSuchDisk as problem:
            found.append(f"disk {disk.device}: {problem}")
            continue
        known.add(present.name)
        if present.size_bytes < disk.size_bytes:
            found.append(
                f"disk {disk.device} has {size_in_words(present.size_bytes)}, and the inventory says "
                f"{size_in_words(disk.size_bytes)}"
            )
    others = [disk for disk in machine.disks if disk.name not in known and not disk.removable]
    found += [f"the disk {disk.name} ({size_in_words(disk.size_bytes)}) is not in the inventory" for disk in others]
    return found
