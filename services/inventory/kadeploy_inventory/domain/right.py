"""Rights: user x node x partition, each of which may be the wildcard."""

from collections import defaultdict
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


class Granted:
    """What rights, none of which is expired, open for one user. Each node looks at those that speak of it alone."""

    def __init__(self, rights: Iterable[Right], *, user: str) -> None:
        self._partitions: dict[str, set[str]] = defaultdict(set)
        for right in rights:
            if right.user in {user, WILDCARD}:
                self._partitions[right.node].add(right.partition)

    def partitions(self, node: str) -> frozenset[str]:
        """Returns the partitions' words that the rights name on a node."""
        return frozenset(self._partitions.get(node, ())).union(self._partitions.get(WILDCARD, ()))

    def allows(self, node: str, partition: str, *, is_production: bool = False) -> bool:
        """Returns whether a partition may be used.

        Args:
            node: where.
            partition: the partition's word; empty when any right on the node will do.
            is_production: true for the site's own partition, which a right must name and no wildcard opens.
        """
        named = self.partitions(node)
        if not partition:
            return bool(named)
        return partition in named or (WILDCARD in named and not is_production)


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
