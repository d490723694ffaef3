"""Nodes, disks and partitions in the database `deploy`."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, RowMapping, Select, Text, delete, insert, select, type_coerce, update

from kadeploy_inventory.app.ports import Key
from kadeploy_inventory.domain.command_template import NO_COMMANDS, CommandTemplates
from kadeploy_inventory.domain.names import natural_key
from kadeploy_inventory.domain.node import Firmware, Node
from kadeploy_inventory.domain.partition_table import (
    Disk,
    Partition,
    PartitionRole,
    PartitionTable,
    PartitionType,
)
from kadeploy_inventory.store.documents import from_document, to_document
from kadeploy_inventory.store.keyset import follows
from kadeploy_inventory.store.tables import disks, nodes, partitions

# Engines bound the values of one statement; a few hundred keep every one of them content.
CHUNK = 500
_NO_COMMANDS_DOCUMENT = to_document(NO_COMMANDS)
# Documents as the text that they are: most nodes have the same, which is then read once.
_DOCUMENTS = (nodes.c.commands, nodes.c.labels)
_OF_NODE = tuple(type_coerce(column, Text).label(column.name) if column in _DOCUMENTS else column for column in nodes.c)
# In the orders in which `_disk` and `_partition` take them.
_OF_DISK = (disks.c.device, disks.c.size_bytes, disks.c.partition_table)
_OF_PARTITION = (
    partitions.c.number,
    partitions.c.size_bytes,
    partitions.c.type,
    partitions.c.type_id,
    partitions.c.label,
    partitions.c.role,
    partitions.c.environment,
)


class NodeRepository:
    """The nodes as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: Sequence[Node]) -> None:
        """Adds nodes with their disks and partitions, a table at a time."""
        if new:
            self._connection.execute(insert(nodes), [_node_row(node) for node in new])
            self._add_disks(new)

    def named(self, names: Collection[str]) -> dict[str, Node]:
        """Returns those of the named nodes that are registered."""
        found: dict[str, Node] = {}
        for chunk in _chunks(names):
            for node in self._read(select(*_OF_NODE).where(nodes.c.name.in_(chunk))):
                found[node.name] = node
        return found

    def with_mac_addresses(self, addresses: Collection[str]) -> dict[str, str]:
        """Returns the name of the node at each address that is taken."""
        return self._holders(nodes.c.mac_address, addresses)

    def with_ip_addresses(self, addresses: Collection[str]) -> dict[str, str]:
        """Returns the name of the node at each address that is taken."""
        return self._holders(nodes.c.ip_address, addresses)

    def with_uuids(self, uuids: Collection[str]) -> dict[str, str]:
        """Returns the name of the node with each UUID that is taken."""
        return self._holders(nodes.c.uuid, uuids)

    def page(self, *, names: Collection[str] | None, cluster: str, after: Key | None, limit: int) -> list[Node]:
        """Returns the next nodes in natural order; no names and no cluster mean all."""
        query = select(*_OF_NODE).order_by(nodes.c.sort_key, nodes.c.name).limit(limit)
        if names is not None:
            query = query.where(nodes.c.name.in_(names))
        if cluster:
            query = query.where(nodes.c.cluster == cluster)
        if after is not None:
            query = query.where(follows([(nodes.c.sort_key, False), (nodes.c.name, False)], after))
        return self._read(query)

    def replace(self, node: Node, *, etag: str) -> bool:
        """Writes the node in place of the one with this etag; False when that one is gone."""
        changed = self._connection.execute(
            update(nodes).where(nodes.c.uid == node.uid, nodes.c.etag == etag), _node_row(node)
        )
        if changed.rowcount == 0:
            return False
        self._connection.execute(delete(disks).where(disks.c.node_uid == node.uid))
        self._add_disks([node])
        return True

    def remove(self, names: Collection[str]) -> None:
        """Removes nodes; their disks and partitions go with them by the foreign keys."""
        for chunk in _chunks(names):
            self._connection.execute(delete(nodes).where(nodes.c.name.in_(chunk)))

    def _add_disks(self, owners: Sequence[Node]) -> None:
        disk_rows = [_disk_row(node, place, disk) for node in owners for place, disk in enumerate(node.disks)]
        partition_rows = [
            _partition_row(node, disk, partition)
            for node in owners
            for disk in node.disks
            for partition in disk.partitions
        ]
        if disk_rows:
            self._connection.execute(insert(disks), disk_rows)
        if partition_rows:
            self._connection.execute(insert(partitions), partition_rows)

    def _holders(self, column: Column[str], addresses: Collection[str]) -> dict[str, str]:
        holders: dict[str, str] = {}
        for chunk in _chunks(addresses):
            rows = self._connection.execute(select(column, nodes.c.name).where(column.in_(chunk)))
            holders.update((address, name) for address, name in rows)
        return holders

    def _read(self, query: Select[Any]) -> list[Node]:
        rows = self._connection.execute(query).mappings().all()
        disks_of = self._read_disks([row["uid"] for row in rows])
        labels = {text: json.loads(text) for text in {row["labels"] for row in rows}}
        commands = {text: _commands(json.loads(text)) for text in {row["commands"] for row in rows}}
        return [
            _node(row, tuple(disks_of[row["uid"]]), labels=labels[row["labels"]], commands=commands[row["commands"]])
            for row in rows
        ]

    def _read_disks(self, uids: Sequence[str]) -> dict[str, list[Disk]]:
        """Returns the disks of nodes. Alike ones are one value: a cluster has few kinds of disks, and many nodes."""
        known: dict[tuple[Any, ...], Disk] = {}
        disks_of: dict[str, list[Disk]] = defaultdict(list)
        for chunk in _chunks(uids):
            partitions_of: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
            of_chunk = select(partitions.c.node_uid, partitions.c.device, *_OF_PARTITION)
            of_chunk = of_chunk.where(partitions.c.node_uid.in_(chunk)).order_by(partitions.c.number)
            for row in self._connection.execute(of_chunk).all():
                partitions_of[row[0], row[1]].append(row[2:])
            on_chunk = select(disks.c.node_uid, *_OF_DISK)
            on_chunk = on_chunk.where(disks.c.node_uid.in_(chunk)).order_by(disks.c.place)
            for uid, *values in self._connection.execute(on_chunk).all():
                its_partitions = tuple(partitions_of[uid, values[0]])
                key = (*values, its_partitions)
                if key not in known:
                    known[key] = _disk(values, its_partitions)
                disks_of[uid].append(known[key])
        return disks_of


def _chunks(values: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


def _node_row(node: Node) -> dict[str, Any]:
    return {
        "uid": node.uid,
        "name": node.name,
        "sort_key": natural_key(node.name),
        "mac_address": node.mac_address,
        "ip_address": node.ip_address,
        "cluster": node.cluster,
        "firmware": node.firmware.value,
        "bmc_address": node.bmc_address,
        "commands": _NO_COMMANDS_DOCUMENT if node.commands is NO_COMMANDS else to_document(node.commands),
        "labels": dict(node.labels),
        "uuid": node.uuid or None,
        "etag": node.etag,
        "create_time": node.create_time,
        "update_time": node.update_time,
    }


def _commands(document: Any) -> CommandTemplates:
    return NO_COMMANDS if document == _NO_COMMANDS_DOCUMENT else from_document(CommandTemplates, document)


def _node(
    row: RowMapping, its_disks: tuple[Disk, ...], *, labels: Mapping[str, str], commands: CommandTemplates
) -> Node:
    return Node(
        name=row["name"],
        mac_address=row["mac_address"],
        ip_address=row["ip_address"],
        cluster=row["cluster"],
        firmware=Firmware(row["firmware"]),
        disks=its_disks,
        bmc_address=row["bmc_address"],
        commands=commands,
        labels=labels,
        uuid=row["uuid"] or "",
        uid=row["uid"],
        etag=row["etag"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


def _disk_row(node: Node, place: int, disk: Disk) -> dict[str, Any]:
    return {
        "node_uid": node.uid,
        "device": disk.device,
        "place": place,
        "size_bytes": disk.size_bytes,
        "partition_table": disk.partition_table.value,
    }


def _disk(values: Sequence[Any], its_partitions: Sequence[Sequence[Any]]) -> Disk:
    device, size_bytes, partition_table = values
    return Disk(
        device=device,
        size_bytes=size_bytes,
        partition_table=PartitionTable(partition_table),
        partitions=tuple(_partition(each) for each in its_partitions),
    )


def _partition_row(node: Node, disk: Disk, partition: Partition) -> dict[str, Any]:
    return {
        "node_uid": node.uid,
        "device": disk.device,
        "number": partition.number,
        "size_bytes": partition.size_bytes,
        "type": partition.type.value,
        "type_id": partition.type_id,
        "label": partition.label,
        "role": partition.role.value,
        "environment": partition.environment,
    }


def _partition(values: Sequence[Any]) -> Partition:
    number, size_bytes, kind, type_id, label, role, environment = values
    return Partition(
        number=number,
        size_bytes=size_bytes,
        type=PartitionType(kind),
        type_id=type_id,
        label=label,
        role=PartitionRole(role),
        environment=environment,
    )
