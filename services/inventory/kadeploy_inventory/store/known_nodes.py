"""Nodes that were read before: each is good for as long as its etag stands in the database.

Every change of a node gives it an etag that was never there before, in the transaction that changes it. So whoever
looks asks for the etags, and reads only the nodes that are not known in that state, whichever process changed them.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from kadeploy_inventory.domain.node import Node

MOST: Final = 50_000
"""So many nodes are known at most; about 1 KiB each."""


class KnownNodes:
    """The nodes that one process has read. Threads share it: a node that is kept is never changed."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._nodes: dict[str, Node] = {}

    def standing(self, etags: Mapping[str, str]) -> dict[str, Node]:
        """Returns those nodes that are known as they stand.

        Args:
            etags: those that stand in the database now, by the nodes' names.
        """
        known = self._nodes
        return {
            name: node for name, etag in etags.items() if (node := known.get(name)) is not None and node.etag == etag
        }

    def keep(self, nodes: Sequence[Node]) -> None:
        """Keeps nodes as a transaction that changes nothing has read them."""
        if len(self._nodes) + len(nodes) > self._most:
            # Those of names that are no longer there among them. Whoever reads just now has the old ones in hand.
            self._nodes = {}
        self._nodes.update({node.name: node for node in nodes[: self._most]})
