"""Who may do what where: granting, taking away, listing and checking rights."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kadeploy_edge.errors import FieldViolation
from kadeploy_inventory.app.ports import Clock, Key, Work
from kadeploy_inventory.domain.errors import InvalidRight, NodeNotFound
from kadeploy_inventory.domain.names import WILDCARD, partition_word
from kadeploy_inventory.domain.node import Node
from kadeploy_inventory.domain.node_set import expand
from kadeploy_inventory.domain.partition_table import PartitionRole
from kadeploy_inventory.domain.right import (
    MAXIMUM_RIGHTS,
    Right,
    check_words,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Whether a user has a right on one node, and which partitions his rights name."""

    node: str
    allowed: bool
    partitions: tuple[str, ...]


def grant_rights(
    *,
    users: Sequence[str],
    nodes: str,
    partitions: Sequence[str],
    expire_time: datetime | None,
    work: Work,
    clock: Clock,
) -> list[Right]:
    """Grants users x nodes x partitions; a right that is there takes the new expire time."""
    partitions = partitions or [WILDCARD]
    check_words(users, partitions)
    if not users:
        raise _invalid("users", "must name at least one user")
    if expire_time is not None and expire_time <= clock():
        raise _invalid("expire_time", "must be in the future")
    names = _names(nodes)
    if names != [WILDCARD]:
        present = work.nodes.named(names)
        missing = [name for name in names if name not in present]
        if missing:
            raise NodeNotFound.named(*missing)
    if len(users) * len(names) * len(partitions) > MAXIMUM_RIGHTS:
        raise _invalid("nodes", f"with users and partitions make more than {MAXIMUM_RIGHTS} rights; use *")
    granted = [
        Right(user=user, node=node, partition=partition, expire_time=expire_time)
        for user in dict.fromkeys(users)
        for node in names
        for partition in dict.fromkeys(partitions)
    ]
    work.rights.put(granted)
    return granted


def revoke_rights(*, users: Sequence[str], nodes: str, partitions: Sequence[str], work: Work) -> list[Right]:
    """Takes away the rights whose words are all among these, letter by letter; an empty one means any."""
    if not users and not nodes and not partitions:
        raise _invalid("users", "nodes or partitions must be named: all rights at once are not taken away")
    check_words(users, partitions)
    names = _names(nodes) if nodes else []
    gone = work.rights.matching(users=users, nodes=names, partitions=partitions)
    work.rights.remove(gone)
    return gone


def list_rights(*, user: str, nodes: str, after: Key | None, limit: int, work: Work, clock: Clock) -> list[Right]:
    """Returns the next rights that speak of a user and of nodes, wildcards included; empty means any."""
    names = expand(nodes, field="filter.nodes") if nodes else ()
    return work.rights.page(user=user, nodes=names, now=clock(), after=after, limit=limit)


def check_rights(*, user: str, nodes: str, partition: str, work: Work, clock: Clock) -> list[Check]:
    """Says per node of a set whether a user has a right; with no partition named, any right counts."""
    check_words([user], [partition] if partition else [])
    names = expand(nodes)
    granted = work.rights.granted(user=user, nodes=names, now=clock())
    present = work.nodes.named(names) if partition else {}
    return [
        Check(
            node=name,
            allowed=granted.allows(name, partition, is_production=is_production(present.get(name), partition)),
            partitions=tuple(sorted(granted.partitions(name))),
        )
        for name in names
    ]


def is_production(node: Node | None, partition: str) -> bool:
    """Returns whether a partition's word names the site's own system on a node."""
    return node is not None and any(
        each.role is PartitionRole.PRODUCTION and partition_word(disk.device, each.number) == partition
        for disk in node.disks
        for each in disk.partitions
    )


def _names(nodes: str) -> list[str]:
    return [WILDCARD] if nodes.strip() == WILDCARD else list(expand(nodes))


def _invalid(field: str, description: str) -> InvalidRight:
    return InvalidRight.of("the right cannot be accepted", [FieldViolation(field=field, description=description)])
