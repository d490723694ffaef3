"""The inventory's nodes as the deployer's own data. A message that was read before is not read again."""

from collections.abc import Mapping
from typing import Final

from kadeploy.inventory.v1 import cluster_pb2, command_template_pb2, inventory_service_pb2, node_pb2, power_driver_pb2
from kadeploy_deployer.adapters.command_template import default_controller
from kadeploy_deployer.adapters.enum_words import word
from kadeploy_deployer.domain.snapshot import (
    CommandSnapshot,
    DiskIdentity,
    DiskSnapshot,
    NodeSnapshot,
    PartitionSnapshot,
    PowerDriverSnapshot,
)
from kadeploy_deployer.domain.vocabulary import Firmware, PartitionRole, PartitionTable, PartitionType, PowerDriverKind
from kadeploy_deployer.ports import ResolvedNode
from kadeploy_nodeset import expand

MOST: Final = 50_000
"""So many nodes are kept at most, with their messages; about 1 KiB each."""

_COMMANDS = (
    "soft_reboot",
    "hard_reboot",
    "very_hard_reboot",
    "power_on",
    "power_off",
    "power_status",
    "console",
)
_TABLES: Final[Mapping[int, PartitionTable]] = {
    node_pb2.PARTITION_TABLE_MBR: PartitionTable.MBR,
    node_pb2.PARTITION_TABLE_GPT: PartitionTable.GPT,
}
_FIRMWARES: Final[Mapping[int, Firmware]] = {
    node_pb2.FIRMWARE_BIOS: Firmware.BIOS,
    node_pb2.FIRMWARE_UEFI: Firmware.UEFI,
}
_TYPES: Final[Mapping[int, PartitionType]] = {
    node_pb2.PARTITION_TYPE_PRIMARY: PartitionType.PRIMARY,
    node_pb2.PARTITION_TYPE_EXTENDED: PartitionType.EXTENDED,
    node_pb2.PARTITION_TYPE_LOGICAL: PartitionType.LOGICAL,
}
_ROLES: Final[Mapping[int, PartitionRole]] = {
    node_pb2.PARTITION_ROLE_DEPLOY: PartitionRole.DEPLOY,
    node_pb2.PARTITION_ROLE_SWAP: PartitionRole.SWAP,
    node_pb2.PARTITION_ROLE_TMP: PartitionRole.TMP,
    node_pb2.PARTITION_ROLE_PRODUCTION: PartitionRole.PRODUCTION,
}


_POWER_DRIVERS: Final[Mapping[int, PowerDriverKind]] = {
    power_driver_pb2.POWER_DRIVER_KIND_IPMI: PowerDriverKind.IPMI,
    power_driver_pb2.POWER_DRIVER_KIND_REDFISH: PowerDriverKind.REDFISH,
}


class NodeReader:
    """Reads the nodes of answers.

    What a node comes to depends on nothing but the bytes of its message and of its cluster's commands. So these are
    the key under which it is kept, and nobody has to tell that a node has changed: its bytes have.
    """

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._known: dict[tuple[bytes, bytes], ResolvedNode] = {}

    def read(self, response: inventory_service_pb2.ResolveDeploymentResponse) -> tuple[ResolvedNode, ...]:
        """Returns the nodes of an answer, in its order."""
        profiles = inventory_service_pb2.ResolveDeploymentResponse()
        for cluster in response.clusters:
            profile = profiles.clusters.add(name=cluster.name).profile
            profile.commands.CopyFrom(cluster.profile.commands)
            profile.group_commands.extend(cluster.profile.group_commands)
            if cluster.profile.HasField("power_driver"):
                profile.power_driver.CopyFrom(cluster.profile.power_driver)
        commands = profiles.SerializeToString(deterministic=True)
        known, new = self._known, dict[tuple[bytes, bytes], ResolvedNode]()
        shared = _Shared({cluster.name: cluster.profile for cluster in response.clusters})
        nodes = []
        for message in response.nodes:
            key = commands, message.SerializeToString()
            node = known.get(key)
            if node is None:
                node = new[key] = _resolved(message, shared)
            nodes.append(node)
        if new:
            self._keep(new)
        return tuple(nodes)

    def _keep(self, new: Mapping[tuple[bytes, bytes], ResolvedNode]) -> None:
        if len(self._known) + len(new) > self._most:
            # Those of nodes that have changed among them.
            self._known = {}
        if len(new) <= self._most:
            self._known.update(new)


class _Shared:
    """Disks and commands that many nodes share, by their bytes on the wire: each kind is read once, as one value."""

    def __init__(self, clusters: Mapping[str, cluster_pb2.ClusterProfile]) -> None:
        self._clusters = clusters
        self._disks: dict[tuple[bytes, ...], tuple[DiskSnapshot, ...]] = {}
        self._commands: dict[tuple[str, bytes], CommandSnapshot] = {}
        self._drivers: dict[str, PowerDriverSnapshot | None] = {}

    def disks(self, node: node_pb2.Node) -> tuple[DiskSnapshot, ...]:
        """Returns the disks of a node."""
        wire = tuple(disk.SerializeToString(deterministic=True) for disk in node.disks)
        if wire not in self._disks:
            self._disks[wire] = tuple(_disk(disk) for disk in node.disks)
        return self._disks[wire]

    def commands(self, node: node_pb2.Node) -> CommandSnapshot:
        """Returns the commands of a node, its own before those of its cluster."""
        key = node.cluster, node.commands.SerializeToString(deterministic=True)
        if key not in self._commands:
            profile = self._clusters.get(node.cluster, cluster_pb2.ClusterProfile())
            self._commands[key] = _commands(node.commands, profile.commands)
        return self._commands[key]

    def group_commands(self, cluster: str) -> tuple[str, ...]:
        """Returns the commands of a cluster that act on all nodes of a supply."""
        return tuple(self._clusters.get(cluster, cluster_pb2.ClusterProfile()).group_commands)

    def power_driver(self, cluster: str) -> PowerDriverSnapshot | None:
        """Returns the power driver of a cluster; None: it has none."""
        if cluster not in self._drivers:
            profile = self._clusters.get(cluster, cluster_pb2.ClusterProfile())
            self._drivers[cluster] = _power_driver(profile.power_driver) if profile.HasField("power_driver") else None
        return self._drivers[cluster]


def _resolved(message: inventory_service_pb2.ResolvedNode, shared: _Shared) -> ResolvedNode:
    if not message.HasField("node"):
        return ResolvedNode(name=message.name, snapshot=None, allowed=message.allowed)
    node = message.node
    snapshot = NodeSnapshot(
        name=node.name,
        mac_address=node.mac_address,
        ip_address=node.ip_address,
        cluster=node.cluster,
        device=message.device,
        partition=message.partition,
        firmware=word(_FIRMWARES, node.firmware, "node.firmware", unspecified=Firmware.BIOS),
        bmc_address=node.bmc_address or default_controller(node.name),
        uuid=node.uuid,
        labels=dict(node.labels),
        power_sharers=tuple(expand(message.power_sharers)) if message.power_sharers else (),
        group_commands=shared.group_commands(node.cluster) if message.power_sharers else (),
        disks=shared.disks(node),
        commands=shared.commands(node),
        power_driver=shared.power_driver(node.cluster),
    )
    return ResolvedNode(name=message.name, snapshot=snapshot, allowed=message.allowed)


def _disk(message: node_pb2.Disk) -> DiskSnapshot:
    return DiskSnapshot(
        device=message.device,
        size_bytes=message.size_bytes,
        partition_table=word(_TABLES, message.partition_table, "disk.partition_table", unspecified=PartitionTable.MBR),
        partitions=tuple(
            PartitionSnapshot(
                number=part.number,
                size_bytes=part.size_bytes,
                type=word(_TYPES, part.type, "partition.type", unspecified=PartitionType.PRIMARY),
                type_id=part.type_id or 0x83,
                label=part.label,
                role=word(_ROLES, part.role, "partition.role", unspecified=PartitionRole.DEPLOY),
            )
            for part in sorted(message.partitions, key=lambda part: part.number)
        ),
        identity=DiskIdentity(
            serial=message.identity.serial,
            wwn=message.identity.wwn,
            link=message.identity.link,
            kernel_name=message.identity.kernel_name,
            size_bytes=message.identity.size_bytes,
        ),
    )


def _power_driver(message: power_driver_pb2.PowerDriver) -> PowerDriverSnapshot:
    return PowerDriverSnapshot(
        kind=word(_POWER_DRIVERS, message.kind, "power_driver.kind"),
        user=message.user,
        password_file=message.password_file,
        address=message.address or "{bmc}",
        cipher_suite=message.cipher_suite,
        ca_file=message.ca_file,
        accept_any_certificate=message.accept_any_certificate,
        system=message.system,
    )


def _commands(
    own: command_template_pb2.CommandTemplates, shared: command_template_pb2.CommandTemplates
) -> CommandSnapshot:
    def template(word: str) -> tuple[str, ...]:
        return tuple(getattr(own, word).arguments) or tuple(getattr(shared, word).arguments)

    return CommandSnapshot(**{word: template(word) for word in _COMMANDS})
