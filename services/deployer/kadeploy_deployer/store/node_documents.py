"""The snapshots of all nodes of a deployment as one text: a thousand nodes share a few disk layouts and commands.

Column by column: one that is the same for all nodes is written once. A column that is not there takes the field's
default, so texts written by an older release stay readable.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, get_type_hints

from kadeploy_deployer.domain.snapshot import CommandSnapshot, DiskSnapshot, NodeSnapshot
from kadeploy_deployer.store.codec import dumps, loads, reader_of

SHARED = ("disks", "commands")
"""Fields of which a column holds the numbers only."""
PLAIN = tuple(field.name for field in fields(NodeSnapshot) if field.name not in SHARED)
_READERS = {name: reader_of(hint) for name, hint in get_type_hints(NodeSnapshot).items() if name in PLAIN}
_READERS |= dict.fromkeys(SHARED, int)

_Value = TypeVar("_Value", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """`same`: the columns that have one value; `columns`: the others, with one value a node."""

    disks: tuple[tuple[DiskSnapshot, ...], ...]
    commands: tuple[CommandSnapshot, ...]
    same: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def _numbered(values: Sequence[_Value]) -> tuple[tuple[_Value, ...], list[int]]:
    """Returns the distinct values, and the number of each value among them."""
    # Comparing costs, so it is done once for each object: most nodes share theirs.
    objects = dict(zip(map(id, values), values, strict=True))
    numbers: dict[_Value, int] = {}
    number_of = {identity: numbers.setdefault(value, len(numbers)) for identity, value in objects.items()}
    return tuple(numbers), [number_of[id(value)] for value in values]


def pack(nodes: Sequence[NodeSnapshot]) -> str:
    """Returns snapshots as text."""
    disks, disk_numbers = _numbered([node.disks for node in nodes])
    commands, command_numbers = _numbered([node.commands for node in nodes])
    columns: dict[str, list[Any]] = {name: list(map(attrgetter(name), nodes)) for name in PLAIN}
    columns["disks"], columns["commands"] = disk_numbers, command_numbers
    same = {name: values[0] for name, values in columns.items() if values and values.count(values[0]) == len(values)}
    # The names tell how many nodes there are.
    same.pop("name", None)
    document = _Document(
        disks=disks,
        commands=commands,
        same=same,
        columns={name: values for name, values in columns.items() if name not in same},
    )
    return dumps(document)


def unpack(text: str) -> Mapping[str, NodeSnapshot]:
    """Returns the snapshots that `pack` wrote, by name."""
    document = loads(_Document, text)
    same = {name: _READERS[name](value) for name, value in document.same.items() if name in _READERS}
    columns = {name: list(map(_READERS[name], values)) for name, values in document.columns.items() if name in _READERS}
    found = {}
    for row in zip(*columns.values(), strict=True):
        values = {**same, **dict(zip(columns, row, strict=True))}
        values["disks"] = document.disks[values["disks"]]
        values["commands"] = document.commands[values["commands"]]
        node = NodeSnapshot(**values)
        found[node.name] = node
    return found
