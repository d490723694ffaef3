"""A node set as a value: names in natural order, each once."""

from collections.abc import Iterable, Iterator
from typing import Self

from kadeploy_nodeset.expansion import MAXIMUM_NODES, expand
from kadeploy_nodeset.folding import fold
from kadeploy_nodeset.natural_order import natural_order


class NodeSet:
    """The names of nodes. Its text is the folded set."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Takes names in any order, perhaps doubled, and does not check them."""
        self._names: dict[str, None] = dict.fromkeys(sorted(names, key=natural_order))

    @classmethod
    def parse(cls, text: str, *, most: int = MAXIMUM_NODES) -> Self:
        """Returns the set that a text stands for; see `expand`."""
        nodes = cls()
        # They come in order.
        nodes._names = dict.fromkeys(expand(text, most=most))
        return nodes

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NodeSet) and self._names == other._names

    def __hash__(self) -> int:
        return hash(tuple(self._names))

    def __str__(self) -> str:
        return fold(self._names)

    def __repr__(self) -> str:
        return f"NodeSet({str(self)!r})"

    def __sub__(self, other: Iterable[str]) -> "NodeSet":
        gone = frozenset(other)
        return NodeSet(name for name in self._names if name not in gone)
