"""The nodes that a description tells of, and where in it each of them stands.

What only the inventory can say against a node comes back with the field of a request, `nodes[3].mac_address`. The
places lead from there to the file and line that the user wrote.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions.text import DescriptionFailure
from kadeploy_edge.errors import FieldViolation

FIELD = re.compile(r"nodes\[(\d+)\]\.?(.*)", re.DOTALL)
MOST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A line of a file."""

    source: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedNodes:
    """What a description says.

    Attributes:
        nodes: as the inventory takes them.
        positions: for each node, where it stands under "", and where its fields do that stand elsewhere:
            "disks[0].partitions[1]".
        notices: a sentence for everything that was added to what the description says.
    """

    nodes: Sequence[node_pb2.Node]
    positions: Sequence[Mapping[str, Position]]
    notices: Sequence[str] = field(default=())

    def refusal(self, violations: Sequence[FieldViolation]) -> DescriptionFailure | None:
        """Returns what the user is told of fields that the inventory refused; None when they are none of these."""
        found = [(position, each) for each in violations if (position := self._position(each.field))]
        if not found or len(found) != len(violations):
            return None
        # What is said of a line that all nodes share is said once.
        sentences = {(position, _without_node(each)) for position, each in found}
        position, first = min(sentences, key=lambda one: (one[0].source, one[0].line, one[1]))
        others = sorted(sentences - {(position, first)}, key=lambda one: (one[0].source, one[0].line, one[1]))
        texts = [first, *(f"{other.source}, line {other.line}: {sentence}" for other, sentence in others[:MOST])]
        if len(others) > MOST:
            texts.append(f"and {len(others) - MOST} more")
        return DescriptionFailure(position.source, position.line, "\n  ".join(texts))

    def _position(self, path: str) -> Position | None:
        match = FIELD.fullmatch(path)
        if match is None or int(match[1]) >= len(self.positions):
            return None
        places, inner = self.positions[int(match[1])], match[2]
        fitting = [
            start for start in places if inner == start or not start or inner.startswith((f"{start}.", f"{start}["))
        ]
        return places[max(fitting, key=len)]


def _without_node(violation: FieldViolation) -> str:
    match = FIELD.fullmatch(violation.field)
    return f"{match[2] if match else violation.field} {violation.description}".strip()
