r"""The classic description of nodes in two parts, as kaaddnode reads it.

Part one has a line per node, `name mac ip`. A line that begins with the two characters `\#` ends it. Part two begins
with `device size` and goes on with a line per partition, `number size environment`. Sizes are in MB, which here as in
fdisk, to which they were always handed, means 1024 x 1024 bytes. Empty lines and lines that begin with `#` say nothing.
How a device may be named: `disk_identity`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions.disk_identity import NamedDisk, read_device
from kadeploy_cli.descriptions.text import DescriptionFailure, Line, lines, shown

MEBIBYTE = 1 << 20
SEPARATOR = "\\#"
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9]([a-z0-9-]{0,62}))*")
MAC_ADDRESS = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
MAXIMUM_NAME = 253
MAXIMUM_MEBIBYTES = 1 << 40
FIRST_LOGICAL = 5
MAXIMUM_MBR_NUMBER = 63
MAXIMUM_GPT_NUMBER = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLine:
    """A node of part one."""

    name: str
    mac_address: str
    ip_address: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLine:
    """A partition of part two."""

    number: int
    size_bytes: int
    environment: str
    # Where it stands; 0 for one that was added.
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesFile:
    """A whole description: every node has the same disk."""

    nodes: tuple[NodeLine, ...]
    device: str
    identity: node_pb2.DiskIdentity | None = None
    disk_size_bytes: int
    disk_line: int = field(default=0, compare=False)
    partitions: tuple[PartitionLine, ...]


def parse(text: str, source: str, *, gpt: bool = False) -> NodesFile:
    """Reads a description, or raises DescriptionFailure at the first line that is wrong."""
    given = lines(text, source)
    nodes = _nodes(given, source)
    disk = next(given, None)
    if disk is None:
        raise DescriptionFailure(
            source, 0, 'ends after the separator; a line "device size" is expected, such as sda 80000'
        )
    named, disk_size = _disk(disk)
    partitions = _partitions(given, source, gpt=gpt)
    return NodesFile(
        nodes=nodes,
        device=named.name,
        identity=named.identity,
        disk_size_bytes=disk_size,
        disk_line=disk.number,
        partitions=partitions,
    )


def _nodes(given: Iterator[Line], source: str) -> tuple[NodeLine, ...]:
    separators: list[Line] = []
    nodes = tuple(distinct_nodes(_until_separator(given, separators)))
    if not separators:
        raise DescriptionFailure(
            source, 0, f"has no separator: a line that begins with {SEPARATOR} ends the list of nodes"
        )
    if not nodes:
        raise separators[0].failure("no node stands before the separator")
    return nodes


def _until_separator(given: Iterator[Line], separators: list[Line]) -> Iterator[Line]:
    """Gives the lines before the separator, which is put into the list."""
    for line in given:
        if line.text.startswith(SEPARATOR):
            separators.append(line)
            return
        yield line


def distinct_nodes(given: Iterable[Line]) -> Iterator[NodeLine]:
    """Gives the node of each line; no name and no address may stand twice."""
    seen: dict[str, int] = {}
    for line in given:
        node = _node(line)
        for word in (node.name, node.mac_address, node.ip_address):
            if word in seen:
                raise line.failure(f"{word} stands on line {seen[word]} already")
            seen[word] = line.number
        yield node


def _node(line: Line) -> NodeLine:
    words = line.text.split()
    if len(words) != 3:  # noqa: PLR2004
        raise line.failure(
            f'"name mac ip" is expected, such as node-1 00:02:73:49:9c:8d 192.168.10.1, not {shown(line.text)}'
        )
    name, mac_address, ip_address = words[0].lower(), words[1].lower().replace("-", ":"), words[2]
    if len(name) > MAXIMUM_NAME or not NAME.fullmatch(name):
        raise line.failure(f"a host name is expected, not {shown(words[0])}")
    if not MAC_ADDRESS.fullmatch(mac_address):
        raise line.failure(f"a MAC address is expected, such as 00:02:73:49:9c:8d, not {shown(words[1])}")
    try:
        address = IPv4Address(ip_address)
    except ValueError:
        raise line.failure(f"an IPv4 address is expected, such as 192.168.10.1, not {shown(ip_address)}") from None
    return NodeLine(name=name, mac_address=mac_address, ip_address=str(address), line=line.number)


def _disk(line: Line) -> tuple[NamedDisk, int]:
    words = line.text.split()
    if len(words) != 2:  # noqa: PLR2004
        raise line.failure(f'"device size" is expected, such as sda 80000 (size in MB), not {shown(line.text)}')
    return read_device(words[0], place=0, failure=line.failure), size_in_bytes(line, words[1])


def _partitions(given: Iterator[Line], source: str, *, gpt: bool) -> tuple[PartitionLine, ...]:
    partitions: list[PartitionLine] = []
    seen: dict[int, int] = {}
    for line in given:
        partition = _partition(line, gpt=gpt)
        if partition.number in seen:
            raise line.failure(f"partition {partition.number} stands on line {seen[partition.number]} already")
        seen[partition.number] = line.number
        partitions.append(partition)
    if not partitions:
        raise DescriptionFailure(source, 0, 'has no partition: lines "number size environment" are expected')
    return tuple(sorted(partitions, key=lambda partition: partition.number))


def _partition(line: Line, *, gpt: bool) -> PartitionLine:
    words = line.text.split()
    if len(words) != 3:  # noqa: PLR2004
        raise line.failure(
            f'"number size environment" is expected, such as 3 20000 empty (size in MB), not {shown(line.text)}'
        )
    number = _number(words[0])
    highest = MAXIMUM_GPT_NUMBER if gpt else MAXIMUM_MBR_NUMBER
    if number is None or not 1 <= number <= highest:
        raise line.failure(f"a partition number from 1 to {highest} is expected, not {shown(words[0])}")
    environment = words[2]
    if environment == "extended" and (gpt or number >= FIRST_LOGICAL):
        raise line.failure("an extended partition has a number from 1 to 4 and no place on GPT")
    return PartitionLine(
        number=number, size_bytes=size_in_bytes(line, words[1]), environment=environment, line=line.number
    )


def size_in_bytes(line: Line, word: str) -> int:
    """Returns the bytes of a size in MB."""
    number = _number(word)
    if number is None or not 1 <= number <= MAXIMUM_MEBIBYTES:
        raise line.failure(f"a size in MB is expected, a whole number from 1, not {shown(word)}")
    return number * MEBIBYTE


def _number(word: str) -> int | None:
    # int() takes more than people mean by a number: "1_000", other scripts' digits, 5,000 digits.
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 15 else None  # noqa: PLR2004
