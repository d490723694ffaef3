"""Nodes, disks and partitions as messages."""

from collections.abc import Iterable

from kadeploy.inventory.v1 import node_pb2
from kadeploy_inventory.domain.disk_identity import NO_IDENTITY, DiskIdentity
from kadeploy_inventory.domain.node import Firmware, Node
from kadeploy_inventory.domain.partition_table import (
    Disk,
    Partition,
    PartitionRole,
    PartitionTable,
    PartitionType,
)
from kadeploy_inventory.rpc.command_messages import commands_from_message, commands_to_message
from kadeploy_inventory.rpc.wire_values import read_enum, write_enum, write_time

_FIRMWARE, _TABLE = "FIRMWARE_", "PARTITION_TABLE_"
_TYPE, _ROLE = "PARTITION_TYPE_", "PARTITION_ROLE_"

KnownDisks = dict[int, tuple[Disk, node_pb2.Disk]]
"""Disks that were written, by their identity: the nodes of a cluster share theirs."""


def nodes_from_messages(messages: Iterable[node_pb2.Node]) -> list[Node]:
    """Returns the descriptions of a call. Nodes that have the same disk share one value."""
    disks: dict[bytes, Disk] = {}
    return [node_from_message(message, disks) for message in messages]


def nodes_to_messages(nodes: Iterable[Node]) -> list[node_pb2.Node]:
    """Returns the messages of an answer. A disk that several nodes share is written once."""
    disks: KnownDisks = {}
    return [node_to_message(node, disks) for node in nodes]


def node_from_message(message: node_pb2.Node, known: dict[bytes, Disk] | None = None) -> Node:
    """Returns the description in a message; what the server makes is left out.

    Args:
        message: the node.
        known: disks that were read, by their bytes on the wire.
    """
    known = {} if known is None else known
    return Node(
        name=message.name,
        mac_address=message.mac_address,
        ip_address=message.ip_address,
        cluster=message.cluster,
        firmware=read_enum(Firmware, message.firmware, node_pb2.Firmware, prefix=_FIRMWARE, default=Firmware.BIOS),
        disks=tuple(_known_disk(disk, known) for disk in message.disks),
        bmc_address=message.bmc_address,
        commands=commands_from_message(message.commands),
        labels=dict(message.labels),
        uuid=message.uuid,
    )


def node_to_message(node: Node, known: KnownDisks | None = None) -> node_pb2.Node:
    """Returns the message of a node.

    Args:
        node: the node.
        known: disks that were written, by their identity.
    """
    known = {} if known is None else known
    for disk in node.disks:
        if id(disk) not in known:
            known[id(disk)] = disk, _disk_to_message(disk)
    return node_pb2.Node(
        name=node.name,
        mac_address=node.mac_address,
        ip_address=node.ip_address,
        cluster=node.cluster,
        firmware=write_enum(node.firmware, node_pb2.Firmware, prefix=_FIRMWARE),
        disks=[known[id(disk)][1] for disk in node.disks],
        bmc_address=node.bmc_address,
        commands=commands_to_message(node.commands),
        labels=node.labels,
        uuid=node.uuid,
        uid=node.uid,
        etag=node.etag,
        create_time=write_time(node.create_time),
        update_time=write_time(node.update_time),
    )


def _known_disk(message: node_pb2.Disk, known: dict[bytes, Disk]) -> Disk:
    wire = message.SerializeToString(deterministic=True)
    if wire not in known:
        known[wire] = _disk_from_message(message)
    return known[wire]


def _disk_from_message(message: node_pb2.Disk) -> Disk:
    return Disk(
        device=message.device,
        size_bytes=message.size_bytes,
        partition_table=read_enum(
            PartitionTable,
            message.partition_table,
            node_pb2.PartitionTable,
            prefix=_TABLE,
            default=PartitionTable.MBR,
        ),
        partitions=tuple(_partition_from_message(partition) for partition in message.partitions),
        identity=_identity_from_message(message.identity) if message.HasField("identity") else NO_IDENTITY,
    )


def _identity_from_message(message: node_pb2.DiskIdentity) -> DiskIdentity:
    return DiskIdentity(
        serial=message.serial,
        wwn=message.wwn,
        link=message.link,
        kernel_name=message.kernel_name,
        size_bytes=message.size_bytes,
    )


def _disk_to_message(disk: Disk) -> node_pb2.Disk:
    return node_pb2.Disk(
        device=disk.device,
        size_bytes=disk.size_bytes,
        partition_table=write_enum(disk.partition_table, node_pb2.PartitionTable, prefix=_TABLE),
        partitions=[_partition_to_message(partition) for partition in disk.partitions],
        identity=None if disk.identity == NO_IDENTITY else _identity_to_message(disk.identity),
    )


def _identity_to_message(identity: DiskIdentity) -> node_pb2.DiskIdentity:
    return node_pb2.DiskIdentity(
        serial=identity.serial,
        wwn=identity.wwn,
        link=identity.link,
        kernel_name=identity.kernel_name,
        size_bytes=identity.size_bytes,
    )


def _partition_from_message(message: node_pb2.Partition) -> Partition:
    return Partition(
        number=message.number,
        size_bytes=message.size_bytes,
        type=read_enum(
            PartitionType,
            message.type,
            node_pb2.PartitionType,
            prefix=_TYPE,
            default=PartitionType.UNSPECIFIED,
        ),
        type_id=message.type_id,
        label=message.label,
        role=read_enum(
            PartitionRole,
            message.role,
            node_pb2.PartitionRole,
            prefix=_ROLE,
            default=PartitionRole.UNSPECIFIED,
        ),
        environment=message.environment,
    )


def _partition_to_message(partition: Partition) -> node_pb2.Partition:
    return node_pb2.Partition(
        number=partition.number,
        size_bytes=partition.size_bytes,
        type=write_enum(partition.type, node_pb2.PartitionType, prefix=_TYPE),
        type_id=partition.type_id,
        label=partition.label,
        role=write_enum(partition.role, node_pb2.PartitionRole, prefix=_ROLE),
        environment=partition.environment,
    )
