"""Nodes, disks and partitions in the database `deploy`."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Text, delete, insert, select, type_coerce, update

from kadeploy_inventory.app.ports import Key
from kadeploy_inventory.domain.command_template import NO_COMMANDS, CommandTemplates
from kadeploy_inventory.domain.disk_identity import DiskIdentity
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
from kadeploy_inventory.store.known_nodes import KnownNodes
from kadeploy_inventory.store.listed import listed
from kadeploy_inventory.store.tables import disks, nodes, partitions
from kadeploy_nodeset import natural_key

CHUNK = 500
"""So many names are deleted by one statement."""
_NO_COMMANDS_DOCUMENT = to_document(NO_COMMANDS)
# Documents as the text that they are: most nodes have the same, which is then read once.
_DOCUMENTS = (nodes.c.commands, nodes.c.labels)
_OF_NODE = tuple(type_coerce(column, Text).label(column.name) if column in _DOCUMENTS else column for column in nodes.c)
# In the orders in which `_disk` and `_partition` take them.
_OF_DISK = (
    disks.c.device,
    disks.c.size_bytes,
    disks.c.partition_table,
    disks.c.serial,
    disks.c.wwn,
    disks.c.link,
    disks.c.kernel_name,
    disks.c.real_size_bytes,
)
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

    def __init__(self, connection: Connection, known: KnownNodes | None = None) -> None:
        """Begins nothing.

        Args:
            connection: of the transaction.
            known: nodes that were read before; None in a transaction that changes some.
        """
        self._connection = connection
        self._known = known

    def add(self, new: Sequence[Node]) -> None:
        """Adds nodes with their disks and partitions, a table at a time."""
        if new:
            self._connection.execute(insert(nodes), [_node_row(node) for node in new])
            self._add_disks(new)

    def named(self, names: Collection[str]) -> dict[str, Node]:
        """Returns those of the named nodes that are registered."""
        if self._known is None:
            return self._read_named(names)
        etags = self._pairs(_named(names, nodes.c.name, nodes.c.etag))
        found = self._known.standing(etags)
        others = self._read_named(etags.keys() - found.keys())
        self._known.keep(list(others.values()))
        return found | others

    def addresses(self) -> dict[str, str]:
        """Returns the IP address of every node, by its name."""
        return {row.name: row.ip_address for row in self._connection.execute(select(nodes.c.name, nodes.c.ip_address))}

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
        ordered = sorted(names)
        # Not as one document: to delete, MariaDB would look through it anew for every node that it has.
        for start in range(0, len(ordered), CHUNK):
            self._connection.execute(delete(nodes).where(nodes.c.name.in_(ordered[start : start + CHUNK])))

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
        wanted = listed(addresses)
        query = select(column, nodes.c.name).join_from(wanted, nodes, wanted.c.value == column)
        return self._pairs(query) if addresses else {}

    def _pairs(self, query: Select[Any]) -> dict[str, str]:
        return {key: value for key, value in self._connection.execute(query).all()}  # noqa: C416 - rows are no pairs

    def _read_named(self, names: Collection[str]) -> dict[str, Node]:
        return {node.name: node for node in self._read(_named(names, *_OF_NODE))} if names else {}

    def _read(self, query: Select[Any]) -> list[Node]:
        rows = self._connection.execute(query).all()
        disks_of = self._read_disks([row.uid for row in rows])
        labels = {text: json.loads(text) for text in {row.labels for row in rows}}
        commands = {text: _commands(json.loads(text)) for text in {row.commands for row in rows}}
        return [
            _node(row, disks_of.get(row.uid, ()), labels=labels[row.labels], commands=commands[row.commands])
            for row in rows
        ]

    def _read_disks(self, uids: Sequence[str]) -> dict[str, tuple[Disk, ...]]:
        """Returns the disks of nodes. Alike ones are one value: a cluster has few kinds of disks, and many nodes."""
        wanted = listed(uids)
        of_nodes = select(partitions.c.node_uid, partitions.c.device, *_OF_PARTITION)
        of_nodes = of_nodes.join(wanted, wanted.c.value == partitions.c.node_uid).order_by(partitions.c.number)
        partitions_of: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
        for row in self._connection.execute(of_nodes).all():
            partitions_of[row[0], row[1]].append(row[2:])
        on_nodes = select(disks.c.node_uid, *_OF_DISK)
        on_nodes = on_nodes.join(wanted, wanted.c.value == disks.c.node_uid).order_by(disks.c.place)
        written: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for uid, *values in self._connection.execute(on_nodes).all():
            written[uid].append((*values, tuple(partitions_of[uid, values[0]])))
        known: dict[tuple[tuple[Any, ...], ...], tuple[Disk, ...]] = {}
        return {uid: _shared_disks(tuple(its_disks), known) for uid, its_disks in written.items()}


def _named(names: Collection[str], *columns: ColumnElement[Any]) -> Select[Any]:
    wanted = listed(names)
    return select(*columns).join_from(wanted, nodes, wanted.c.value == nodes.c.name)


def _shared_disks(
    written: tuple[tuple[Any, ...], ...], known: dict[tuple[tuple[Any, ...], ...], tuple[Disk, ...]]
) -> tuple[Disk, ...]:
    if written not in known:
        known[written] = tuple(_disk(each) for each in written)
    return known[written]


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


def _node(row: Row[Any], its_disks: tuple[Disk, ...], *, labels: Mapping[str, str], commands: CommandTemplates) -> Node:
    return Node(
        name=row.name,
        mac_address=row.mac_address,
        ip_address=row.ip_address,
        cluster=row.cluster,
        firmware=Firmware(row.firmware),
        disks=its_disks,
        bmc_address=row.bmc_address,
        commands=commands,
        labels=labels,
        uuid=row.uuid or "",
        uid=row.uid,
        etag=row.etag,
        create_time=row.create_time,
        update_time=row.update_time,
    )


def _disk_row(node: Node, place: int, disk: Disk) -> dict[str, Any]:
    return {
        "node_uid": node.uid,
        "device": disk.device,
        "place": place,
        "size_bytes": disk.size_bytes,
        "partition_table": disk.partition_table.value,
        "serial": disk.identity.serial,
        "wwn": disk.identity.wwn,
        "link": disk.identity.link,
        "kernel_name": disk.identity.kernel_name,
        "real_size_bytes": disk.identity.size_bytes,
    }


def _disk(values: Sequence[Any]) -> Disk:
    device, size_bytes, partition_table, serial, wwn, link, kernel_name, real_size_bytes, its_partitions = values
    identity = DiskIdentity(serial=serial, wwn=wwn, link=link, kernel_name=kernel_name, size_bytes=real_size_bytes)
    return Disk(
        device=device,
        size_bytes=size_bytes,
        partition_table=PartitionTable(partition_table),
        partitions=tuple(_partition(each) for each in its_partitions),
        identity=identity,
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
