"""One machine of the cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from kadeploy_inventory.domain.addresses import (
    parse_controller_address,
    parse_ip_address,
    parse_mac_address,
    parse_machine_uuid,
)
from kadeploy_inventory.domain.bmc_pattern import filled
from kadeploy_inventory.domain.cluster import DEFAULT_CLUSTER
from kadeploy_inventory.domain.command_template import NO_COMMANDS, CommandTemplates, check_commands
from kadeploy_inventory.domain.names import (
    UNDEFINED,
    parse_cluster_name,
    parse_label_key,
    parse_node_name,
)
from kadeploy_inventory.domain.partition_table import (
    Disk,
    Partition,
    PartitionRole,
    check_disk_values,
    check_table,
    complete_disk,
)
from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.domain.texts import parse_line


class Firmware(StrEnum):
    """How the firmware finds its loader."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine, its addresses and its disks. What the server makes is at the end."""

    name: str
    mac_address: str
    ip_address: str
    cluster: str = DEFAULT_CLUSTER
    firmware: Firmware = Firmware.BIOS
    disks: tuple[Disk, ...] = ()
    bmc_address: str = ""
    commands: CommandTemplates = NO_COMMANDS
    labels: Mapping[str, str] = field(default_factory=dict)
    uuid: str = ""
    uid: str = ""
    etag: str = ""
    create_time: datetime | None = None
    update_time: datetime | None = None

    def controller(self, pattern: str) -> str:
        """Returns where the management controller answers. `pattern`: of the cluster, for nodes that do not say."""
        return self.bmc_address or filled(pattern, name=self.name, cluster=self.cluster)

    @property
    def only_device(self) -> str:
        """The device of the node's disk where it has one disk; empty for none and for several."""
        return self.disks[0].device if len(self.disks) == 1 else ""

    def disk(self, device: str) -> Disk | None:
        """Returns the disk of that device name, or None."""
        return next((disk for disk in self.disks if disk.device == device), None)

    def role_of(self, device: str, number: int) -> PartitionRole | None:
        """Returns what a partition is for, or None when the node does not have it."""
        disk = self.disk(device)
        partitions = disk.partitions if disk else ()
        return next((each.role for each in partitions if each.number == number), None)

    def is_as_described(self, description: "Node") -> bool:
        """Returns whether this registered node stands just as a description says.

        What was said to be installed counts only where both say it: an environment may have come or gone since.
        """
        return all(getattr(self, name) == getattr(description, name) for name in _SAID) and (
            self.disks == description.disks
            or self.disks == tuple(_said_alike(disk, self.disk(disk.device)) for disk in description.disks)
        )


# What a description says of a node, its disks aside.
_SAID = ("name", "mac_address", "ip_address", "cluster", "firmware", "bmc_address", "commands", "labels", "uuid")


def _said_alike(wanted: Disk, found: Disk | None) -> Disk:
    """Returns the wanted disk with the found one's environments where either knows none."""
    said = {each.number: each.environment for each in found.partitions} if found else {}

    def alike(partition: Partition) -> Partition:
        other = said.get(partition.number, partition.environment)
        if UNDEFINED in {partition.environment, other}:
            return replace(partition, environment=other)
        return partition

    return replace(wanted, partitions=tuple(alike(each) for each in wanted.partitions))


class DiskChecks:
    """Completes and checks disks. The nodes of a cluster share theirs, so one that was seen is not looked at again."""

    def __init__(self) -> None:
        # By identity, which is quick; the disk itself stands beside, so that no other one gets its identity.
        self._seen: dict[int, tuple[Disk, Disk, Problems, Problems]] = {}

    def check(self, disk: Disk, values: Problems, tables: Problems) -> Disk:
        """Returns the disk with what was left out filled in; adds what is wrong with it."""
        if id(disk) not in self._seen:
            complete, wrong_values, wrong_tables = complete_disk(disk), Problems(), Problems()
            check_disk_values(complete, wrong_values)
            check_table(complete, wrong_tables)
            self._seen[id(disk)] = (disk, complete, wrong_values, wrong_tables)
        _, complete, wrong_values, wrong_tables = self._seen[id(disk)]
        for problems, wrong in ((values, wrong_values), (tables, wrong_tables)):
            for violation in wrong.found:
                problems.add(violation.field, violation.description)
        return complete


def check_node(node: Node, values: Problems, tables: Problems, disk_checks: DiskChecks | None = None) -> Node:
    """Returns the node in its normal form, with what was left out filled in.

    Args:
        node: the description as it came.
        values: takes what is wrong with single values.
        tables: takes what a partition table cannot hold.
        disk_checks: those of the whole description that the node is part of.
    """
    disk_checks = disk_checks or DiskChecks()
    cluster = node.cluster or DEFAULT_CLUSTER
    disks: tuple[Disk, ...] = ()
    for index, described in enumerate(node.disks):
        place = f"disks[{index}]"
        disk = disk_checks.check(described, values.under(place), tables.under(place))
        if disk.device in {earlier.device for earlier in disks}:
            values.add(f"{place}.device", f"{disk.device} is there twice")
        disks = (*disks, disk)
    for key, value in node.labels.items():
        values.take("labels", parse_label_key, key)
        values.take(f"labels[{key!r}]", parse_line, value)
    check_commands(node.commands, values.under("commands"), labels=node.labels.keys())
    return replace(
        node,
        name=values.take("name", parse_node_name, node.name),
        mac_address=values.take("mac_address", parse_mac_address, node.mac_address),
        ip_address=values.take("ip_address", parse_ip_address, node.ip_address),
        cluster=values.take("cluster", parse_cluster_name, cluster),
        bmc_address=values.take("bmc_address", parse_controller_address, node.bmc_address),
        uuid=values.take("uuid", parse_machine_uuid, node.uuid),
        disks=disks,
    )


def rename_environments(node: Node, known: frozenset[str]) -> Node:
    """Returns the node with every environment that is not known called `undefined`."""
    if all(partition.environment in known for disk in node.disks for partition in disk.partitions):
        return node

    def renamed(partition: Partition) -> Partition:
        if partition.environment in known:
            return partition
        return replace(partition, environment=UNDEFINED)

    disks = tuple(replace(disk, partitions=tuple(renamed(each) for each in disk.partitions)) for disk in node.disks)
    return replace(node, disks=disks)
