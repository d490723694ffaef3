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


class Granted:
    """What the rights that a user has open for him. Each node looks at those that speak of it alone."""

    def __init__(self, words: Iterable[tuple[str, str]]) -> None:
        """Takes the node and the partition of each right; all are the user's and none has expired."""
        # By partition: of those there are few words, of nodes thousands.
        self._nodes: dict[str, set[str]] = defaultdict(set)
        for node, partition in words:
            self._nodes[partition].add(node)

    def partitions(self, node: str) -> frozenset[str]:
        """Returns the partitions' words that the rights name on a node."""
        return frozenset(word for word, nodes in self._nodes.items() if node in nodes or WILDCARD in nodes)

    def allows(self, node: str, partition: str, *, is_production: bool = False) -> bool:
        """Returns whether a partition may be used.

        Args:
            node: where.
            partition: the partition's word; empty when any right on the node will do.
            is_production: true for the site's own partition, which a right must name and no wildcard opens.
        """
        if not partition:
            return bool(self.partitions(node))
        for word in (partition,) if is_production else (partition, WILDCARD):
            nodes = self._nodes.get(word)
            if nodes is not None and (node in nodes or WILDCARD in nodes):
                return True
        return False


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
