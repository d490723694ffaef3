"""The composition of the site: registering, reading, changing and removing nodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kadeploy_edge.errors import DomainError, FieldViolation
from kadeploy_inventory.app.ports import Clock, Key, MakeId, Work
from kadeploy_inventory.domain.errors import (
    AddressTaken,
    ClusterNotFound,
    InvalidNode,
    InvalidPartitionTable,
    NodeExists,
    NodeNotFound,
    StaleEtag,
)
from kadeploy_inventory.domain.found_names import found_names
from kadeploy_inventory.domain.names import RESERVED_ENVIRONMENT_NAMES, parse_node_name
from kadeploy_inventory.domain.node import DiskChecks, Node, check_node, rename_environments
from kadeploy_inventory.domain.node_set import expand
from kadeploy_inventory.domain.problems import Problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What became of a description of the site."""

    nodes: tuple[Node, ...]
    created: tuple[str, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What became of one node that was to be removed. No error: it is gone."""

    node: str
    error: DomainError | None = None


def register_nodes(
    descriptions: Sequence[Node], *, validate_only: bool, work: Work, clock: Clock, make_id: MakeId
) -> Registered:
    """Registers a whole description, or raises and registers nothing of it.

    Nodes that stand there just as described are left as they are.
    """
    wanted = _checked(descriptions)
    named_environments = _environments(wanted)
    recorded = work.environments.recorded_names(named_environments - RESERVED_ENVIRONMENT_NAMES)
    unknown = named_environments - RESERVED_ENVIRONMENT_NAMES - recorded
    wanted = [rename_environments(node, recorded | RESERVED_ENVIRONMENT_NAMES) for node in wanted]
    _check_clusters(wanted, work)
    present = work.nodes.named([node.name for node in wanted])
    for node in wanted:
        if node.name in present and not present[node.name].is_as_described(node):
            message = f"{node.name} is registered with other values; change it, or remove it first"
            raise NodeExists(message, metadata={"node": node.name})
    now = clock()
    new = [
        replace(node, uid=make_id(), etag=make_id(), create_time=now, update_time=now)
        for node in wanted
        if node.name not in present
    ]
    _check_addresses(new, work)
    if not validate_only:
        work.nodes.add(new)
    standing = present | {node.name: node for node in new}
    return Registered(
        nodes=tuple(standing[node.name] for node in wanted),
        created=tuple(node.name for node in new),
        notices=tuple(f"environment {name} is not registered: undefined" for name in sorted(unknown)),
    )


def get_node(name: str, *, work: Work) -> Node:
    """Returns one node or raises NodeNotFound."""
    found = work.nodes.named([name])
    if name not in found:
        raise NodeNotFound.named(name)
    return found[name]


def list_nodes(*, nodes: str, cluster: str, after: Key | None, limit: int, work: Work) -> list[Node]:
    """Returns the next nodes of a node set and a cluster; an empty word means all."""
    names = expand(nodes, field="filter.nodes") if nodes else None
    return work.nodes.page(names=names, cluster=cluster, after=after, limit=limit)


def find_names(nodes: str, *, domain: str, work: Work) -> dict[str, list[str]]:
    """Returns the registered names that the words of a node set fit which are not registered themselves."""
    words = expand(nodes)
    problems = Problems()
    if domain:
        problems.take("domain", parse_node_name, domain)
    if problems:
        raise InvalidNode.of("the names cannot be looked for", problems.found)
    return found_names(words, work.nodes.addresses(), domain=domain)


def update_node(
    name: str, *, etag: str, change: Callable[[Node], Node], work: Work, clock: Clock, make_id: MakeId
) -> Node:
    """Changes one node.

    Args:
        name: which one.
        etag: the etag that the caller read; empty when he does not care.
        change: returns the changed description of the node as it stands.
        work: the transaction.
        clock: the time of the change.
        make_id: makes the new etag.
    """
    present = get_node(name, work=work)
    if etag and etag != present.etag:
        raise StaleEtag.of(name)
    (node,) = _checked([change(present)], path="node")
    said = _environments([node]) - _environments([present]) - RESERVED_ENVIRONMENT_NAMES
    unknown = sorted(said - work.environments.recorded_names(said))
    if unknown:
        violation = FieldViolation(
            field="node.disks", description=f"name the environment {unknown[0]}, which is not registered"
        )
        raise InvalidNode.of("the update cannot be accepted", [violation])
    _check_clusters([node], work)
    _check_addresses([node], work)
    node = replace(
        node,
        uid=present.uid,
        etag=make_id(),
        create_time=present.create_time,
        update_time=clock(),
    )
    if not work.nodes.replace(node, etag=present.etag):
        raise StaleEtag.of(name)
    return node


def delete_nodes(nodes: str, *, work: Work) -> tuple[Removal, ...]:
    """Removes the nodes of a set; those that are not there are said to be so."""
    names = expand(nodes)
    present = work.nodes.named(names)
    work.nodes.remove(present)
    return tuple(Removal(node=name, error=None if name in present else NodeNotFound.named(name)) for name in names)


def _checked(descriptions: Sequence[Node], *, path: str = "") -> list[Node]:
    """Returns the nodes in normal form, or raises with every field at fault."""
    if not descriptions:
        raise InvalidNode.of("nothing to register", [FieldViolation(field="nodes", description="must not be empty")])
    values, tables, disk_checks = Problems(), Problems(), DiskChecks()
    checked = []
    for index, node in enumerate(descriptions):
        here = path or f"nodes[{index}]"
        checked.append(check_node(node, values.under(here), tables.under(here), disk_checks))
    _check_doubles(checked, values)
    if values:
        raise InvalidNode.of("the nodes cannot be accepted", values.found + tables.found)
    if tables:
        raise InvalidPartitionTable.of("the partition table cannot be written", tables.found)
    return checked


def _check_doubles(nodes: Sequence[Node], problems: Problems) -> None:
    for field in ("name", "mac_address", "ip_address", "uuid"):
        first: dict[str, int] = {}
        for index, node in enumerate(nodes):
            value = getattr(node, field)
            if value and first.setdefault(value, index) != index:
                problems.add(f"nodes[{index}].{field}", f"{value} is that of nodes[{first[value]}] too")


def _environments(nodes: Sequence[Node]) -> frozenset[str]:
    return frozenset(partition.environment for node in nodes for disk in node.disks for partition in disk.partitions)


def _check_clusters(nodes: Sequence[Node], work: Work) -> None:
    wanted = {node.cluster for node in nodes}
    missing = sorted(wanted - work.clusters.named(wanted).keys())
    if missing:
        raise ClusterNotFound.named(missing[0])


def _check_addresses(nodes: Sequence[Node], work: Work) -> None:
    """Raises AddressTaken when an address, or the UUID, belongs to a node of another name."""
    macs = work.nodes.with_mac_addresses([node.mac_address for node in nodes])
    ips = work.nodes.with_ip_addresses([node.ip_address for node in nodes])
    uuids = work.nodes.with_uuids([node.uuid for node in nodes if node.uuid])
    for node in nodes:
        for address, holders in ((node.mac_address, macs), (node.ip_address, ips), (node.uuid, uuids)):
            holder = holders.get(address, node.name)
            if holder != node.name:
                raise AddressTaken(
                    f"{address}, wanted for {node.name}, belongs to {holder}",
                    metadata={"address": address, "node": node.name, "holder": holder},
                )
