"""clusternodes.conf and clusterpartition.conf, the two files of Kadeploy 2.1.

The first has a line `name mac ip` per node. The second begins with `block_device=DEVICE size=MB` and goes on with a
line per partition, `part=N size=MB fdisktype=HEX label=ENVIRONMENT type=primary|extended|logical`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions import disk_layout, nodes_file, partition_rules
from kadeploy_cli.descriptions.disk_identity import read_device
from kadeploy_cli.descriptions.nodes_file import NodeLine
from kadeploy_cli.descriptions.partition_rules import Declared
from kadeploy_cli.descriptions.text import DescriptionFailure, Line, lines, shown

TYPES = {
    "primary": node_pb2.PARTITION_TYPE_PRIMARY,
    "extended": node_pb2.PARTITION_TYPE_EXTENDED,
    "logical": node_pb2.PARTITION_TYPE_LOGICAL,
}
KEYS = ("part", "size", "fdisktype", "label", "type")
HEXADECIMAL = re.compile(r"(0x)?[0-9a-fA-F]{1,2}")


def parse_nodes(text: str, source: str) -> tuple[NodeLine, ...]:
    """Reads clusternodes.conf, or raises DescriptionFailure at the first line that is wrong."""
    nodes = tuple(nodes_file.distinct_nodes(lines(text, source)))
    if not nodes:
        raise DescriptionFailure(source, 0, 'names no node; lines "name mac ip" are expected')
    return nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredDisk:
    """The disk of clusterpartition.conf, the line where it stands, and those of its partitions."""

    disk: node_pb2.Disk
    line: int
    partition_lines: tuple[int, ...]


def parse_disk(text: str, source: str) -> DeclaredDisk:
    """Reads clusterpartition.conf, or raises DescriptionFailure at the first line that is wrong."""
    given = lines(text, source)
    first = next(given, None)
    if first is None:
        raise DescriptionFailure(source, 0, "is empty; block_device=sda size=80000 is expected (size in MB)")
    device, blank, rest = first.text.partition(" ")
    if "=" not in device and blank:
        # kasetup of version 2.1 wrote the device without its key.
        first = Line(source=source, number=first.number, text=f"block_device={device} {rest}")
    words = _words(first, ("block_device", "size"), needed=("block_device", "size"))
    named = read_device(words["block_device"], place=0, failure=first.failure)
    size = nodes_file.size_in_bytes(first, words["size"])
    standing = [(line.number, declared) for line, declared in _partitions(given)]
    if not standing:
        raise DescriptionFailure(source, 0, "has no partition; lines part=N size=MB label=NAME are expected")
    partition_rules.check([declared for _, declared in standing], disk_bytes=size, gpt=False)
    standing.sort(key=lambda one: one[1].partition.number)
    disk = node_pb2.Disk(
        device=named.name,
        identity=named.identity,
        size_bytes=size,
        partition_table=node_pb2.PARTITION_TABLE_MBR,
        partitions=[declared.partition for _, declared in standing],
    )
    return DeclaredDisk(disk=disk, line=first.number, partition_lines=tuple(line for line, _ in standing))


def _partitions(given: Iterator[Line]) -> Iterator[tuple[Line, Declared]]:
    for line in given:
        words = _words(line, KEYS, needed=("part", "size"))
        number = words["part"]
        if not (number.isascii() and number.isdigit() and len(number) <= 3):  # noqa: PLR2004
            raise line.failure(f"part is a number, not {shown(number)}")
        kind = words.get("type", "logical" if int(number) >= partition_rules.FIRST_LOGICAL else "primary")
        if kind not in TYPES:
            raise line.failure(f"type is one of {', '.join(TYPES)}, not {shown(kind)}")
        type_id = words.get("fdisktype", "")
        if type_id and not HEXADECIMAL.fullmatch(type_id):
            raise line.failure(f"fdisktype is a byte in hex such as 83, not {shown(type_id)}")
        size = nodes_file.size_in_bytes(line, words["size"])
        label = "extended" if kind == "extended" else words.get("label", "") or "empty"
        partition = disk_layout.partition(int(number), size, label, gpt=False)
        partition.type = TYPES[kind]
        if type_id:
            partition.type_id = int(type_id, 16)
            if partition.type_id == disk_layout.SWAP:
                partition.role = node_pb2.PARTITION_ROLE_SWAP
        yield line, Declared(partition=partition, failure=line.failure)


def _words(line: Line, known: tuple[str, ...], *, needed: tuple[str, ...]) -> Mapping[str, str]:
    """Returns the `key=value` words of a line, each key once."""
    expected = " ".join(f"{key}=…" for key in known)
    words: dict[str, str] = {}
    for word in line.text.split():
        key, equals, value = word.partition("=")
        if not equals or key not in known:
            raise line.failure(f'"{expected}" is expected, not {shown(word)}')
        if key in words:
            raise line.failure(f"{key} stands twice")
        words[key] = value
    missing = [key for key in needed if not words.get(key)]
    if missing:
        raise line.failure(f'{missing[0]} is missing: "{expected}" is expected')
    return words
