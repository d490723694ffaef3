"""The snapshots of all nodes of a deployment as one text: a thousand nodes share a few disk layouts and commands.

A field that is not there takes its default, so texts written by an older release stay readable.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Generic, TypeVar

from kadeploy_deployer.domain.snapshot import CommandSnapshot, DiskSnapshot, NodeSnapshot
from kadeploy_deployer.store.codec import dumps, loads

SHARED = ("disks", "commands")
"""Fields of which a row holds the number only."""
PLAIN = tuple(field.name for field in fields(NodeSnapshot) if field.name not in SHARED)
_plain_values = attrgetter(*PLAIN)

_Value = TypeVar("_Value", bound=Hashable)
_Scalar = str | int | Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    columns: tuple[str, ...]
    disks: tuple[tuple[DiskSnapshot, ...], ...]
    commands: tuple[CommandSnapshot, ...]
    rows: Sequence[Sequence[_Scalar]]


class _Distinct(Generic[_Value]):
    """Numbers values; equal ones have the same number. Comparing costs, so it is done once for each object."""

    def __init__(self) -> None:
        self.values: dict[_Value, int] = {}
        self._by_identity: dict[int, int] = {}

    def number(self, value: _Value) -> int:
        """Returns the number of a value."""
        found = self._by_identity.get(id(value))
        if found is None:
            found = self._by_identity[id(value)] = self.values.setdefault(value, len(self.values))
        return found


def pack(nodes: Sequence[NodeSnapshot]) -> str:
    """Returns snapshots as text."""
    disks, commands = _Distinct[tuple[DiskSnapshot, ...]](), _Distinct[CommandSnapshot]()
    rows = [(*_plain_values(node), disks.number(node.disks), commands.number(node.commands)) for node in nodes]
    document = _Document(
        columns=(*PLAIN, *SHARED), disks=tuple(disks.values), commands=tuple(commands.values), rows=rows
    )
    return dumps(document)


def unpack(text: str) -> Mapping[str, NodeSnapshot]:
    """Returns the snapshots that `pack` wrote, by name."""
    document = loads(_Document, text)
    known = {field.name for field in fields(NodeSnapshot)}
    found = {}
    for row in document.rows:
        values = {name: value for name, value in zip(document.columns, row, strict=True) if name in known}
        values["disks"] = document.disks[values["disks"]]  # type: ignore[index, assignment]
        values["commands"] = document.commands[values["commands"]]  # type: ignore[index, assignment]
        node = NodeSnapshot(**values)  # type: ignore[arg-type]
        found[node.name] = node
    return found
