"""Rights: user x node x partition, each of which may be the wildcard."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kadeploy_inventory.domain.errors import InvalidRight
from kadeploy_inventory.domain.names import (
    WILDCARD,
    parse_partition_word,
    parse_user_name,
)
from kadeploy_inventory.domain.problems import Problems

MAXIMUM_RIGHTS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One right. No expire time: it stays."""

    user: str
    node: str
    partition: str
    expire_time: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Returns whether the right counts as gone."""
        return self.expire_time is not None and self.expire_time <= now

    def names(self, user: str, node: str) -> bool:
        """Returns whether the right speaks of this user on this node."""
        return self.user in {user, WILDCARD} and self.node in {node, WILDCARD}


def allows(rights: Iterable[Right], *, user: str, node: str, partition: str, is_production: bool = False) -> bool:
    """Returns whether one of the rights, none of which is expired, allows the partition.

    Args:
        rights: the rights to look at.
        user: who wants to.
        node: where.
        partition: the partition's word; empty when any right on the node will do.
        is_production: true for the site's own partition, which a right must name and no wildcard opens.
    """
    wanted = {partition} if is_production else {partition, WILDCARD}
    return any(right.names(user, node) and (not partition or right.partition in wanted) for right in rights)


def partitions_named(rights: Iterable[Right], *, user: str, node: str) -> tuple[str, ...]:
    """Returns the partitions that the user's rights on a node name."""
    return tuple(sorted({right.partition for right in rights if right.names(user, node)}))


def check_words(users: Sequence[str], partitions: Sequence[str]) -> None:
    """Raises InvalidRight unless each word is a user or a partition, or the wildcard."""
    problems = Problems()
    for index, user in enumerate(users):
        if user != WILDCARD:
            problems.take(f"users[{index}]", parse_user_name, user)
    for index, partition in enumerate(partitions):
        problems.take(f"partitions[{index}]", parse_partition_word, partition)
    if problems:
        raise InvalidRight.of("the right cannot be accepted", problems.found)
