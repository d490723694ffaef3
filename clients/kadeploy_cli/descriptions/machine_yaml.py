"""Machines as a description of nodes in YAML, which `kaaddnode` takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from kadeploy.deployer.v1 import machine_pb2
from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions.nodes_yaml import ROLES, TABLES, TYPES
from kadeploy_cli.terminal import output

HEAD = "# Made by ka node {command}. kaaddnode takes it; partitions are added by hand.\n"
ROLE_NAMES = {number: name for name, number in ROLES.items() if name != "prod"}
TABLE_NAMES = {number: name for name, number in TABLES.items()}
TYPE_NAMES = {number: name for name, number in TYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A machine, and what the inventory says of it; None: it is not registered."""

    name: str
    machine: machine_pb2.Machine
    node: node_pb2.Node | None = None


def write(machines: Iterable[Described], *, command: str) -> str:
    """Returns the whole file. `command`: "inspect" or "discover"."""
    parts = [HEAD.format(command=command), "nodes:\n"]
    for each in machines:
        parts += [f"  # {line}\n" for line in _remarks(each.machine)]
        text = yaml.safe_dump([_node(each)], sort_keys=False, default_flow_style=False, allow_unicode=True, width=110)
        parts += [f"  {line}\n" for line in text.splitlines()]
    return "".join(parts)


def boot_card(machine: machine_pb2.Machine) -> str:
    """Returns the MAC address of the card that the machine booted from, or else of its first."""
    cards = [card for card in machine.cards if card.is_boot_card] or list(machine.cards)
    return cards[0].mac_address if cards else ""


def _remarks(machine: machine_pb2.Machine) -> Sequence[str]:
    product = " ".join(filter(None, (machine.vendor, machine.product)))
    serial = f", serial number {machine.serial}" if machine.serial else ""
    model = f", {machine.processor_model}" if machine.processor_model else ""
    return [
        f"{product or 'machine'}{serial}",
        f"{machine.processors} processors in {machine.sockets} sockets{model}",
        f"memory: {output.size(machine.memory_bytes)}",
        f"serial console: {machine.console or 'none'}",
        *(
            f"card {card.name}: {card.mac_address}, {card.driver}, {card.path}{', boots' if card.is_boot_card else ''}"
            for card in machine.cards
        ),
    ]


def _node(each: Described) -> dict[str, Any]:
    machine, node = each.machine, each.node
    described: dict[str, Any] = {"name": each.name, "mac": boot_card(machine), "ip": machine.address}
    if node is not None and node.mac_address in {card.mac_address for card in machine.cards}:
        described["mac"] = node.mac_address
    if machine.uuid:
        described["uuid"] = machine.uuid
    if machine.controller_address:
        described["bmc"] = machine.controller_address
    described["firmware"] = machine.firmware
    known = {disk.device: disk for disk in node.disks} if node is not None else {}
    described["disks"] = [_disk(disk, known.get(disk.device)) for disk in machine.disks if not disk.removable]
    return described


def _disk(disk: machine_pb2.MachineDisk, known: node_pb2.Disk | None) -> dict[str, Any]:
    described: dict[str, Any] = {"device": disk.device or disk.name, "match": _match(disk)}
    described["size"] = f"{disk.size_bytes} B"
    if known is not None:
        described["table"] = TABLE_NAMES[known.partition_table]
        described["partitions"] = [_partition(each) for each in known.partitions]
    return described


def _match(disk: machine_pb2.MachineDisk) -> dict[str, str]:
    """Returns what tells the disk from others for good: the best that it has."""
    path = next((link for link in disk.links if link.startswith("by-path/")), "")
    for key, value in (("wwn", disk.wwn), ("serial", disk.serial), ("link", path)):
        if value:
            return {key: value}
    return {"kernel": disk.name}


def _partition(partition: node_pb2.Partition) -> dict[str, Any]:
    described: dict[str, Any] = {"number": partition.number, "size": f"{partition.size_bytes} B"}
    if partition.type == node_pb2.PARTITION_TYPE_EXTENDED:
        return {**described, "type": "extended", "type_id": partition.type_id}
    described |= {"role": ROLE_NAMES[partition.role], "type": TYPE_NAMES[partition.type], "type_id": partition.type_id}
    if partition.label:
        described["label"] = partition.label
    if partition.environment:
        described["environment"] = partition.environment
    return described
