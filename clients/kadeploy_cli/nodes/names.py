"""The nodes that a command is about: `-m` repeated, `-f FILE` or `-f -`, as one node set in ClusterShell's manner."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from ClusterShell.NodeSet import NodeSet, NodeSetException

from kadeploy_cli.descriptions.text import MAXIMUM_SIZE, decode, lines
from kadeploy_cli.terminal.failures import UsageFailure

MAXIMUM_NODES = 100_000
LOOKS = "Node sets look like node-[1-16,20],gpu-3."
WILDCARDS = re.compile(r"[*?]")
RANGE = re.compile(r"(\d+)-(\d+)")

Function = TypeVar("Function", bound=Callable[..., Any])


def node_options(function: Function) -> Function:
    """Gives a command `-m` and `-f`."""
    file = click.option(
        "-f",
        "--file",
        "node_file",
        metavar="FILE",
        help='A file that names nodes, node sets too, one or more a line; "-" reads them from stdin.',
    )
    machine = click.option(
        "-m",
        "--machine",
        "machines",
        multiple=True,
        metavar="NODES",
        help="A node or a node set such as node-[1-16,20]. Repeatable.",
    )
    return machine(file(function))


def from_options(machines: Sequence[str], node_file: str | None) -> NodeSet:
    """Returns all the nodes that `-m` and `-f` name; the set is empty when neither was given, and only then."""
    nodes = NodeSet()
    for word in machines:
        nodes.update(parse(word, "-m"))
    if node_file is not None:
        nodes.update(_from_file(node_file))
    _limit(len(nodes))
    if not nodes and (machines or node_file is not None):
        # Not the same as naming none, which means every node to some commands.
        said = [repr(word) for word in machines] + ([node_file] if node_file else [])
        raise UsageFailure(
            f"{', '.join(said)} {'names' if len(said) == 1 else 'name'} no node",
            advice="Name nodes with -m NODES (node-[1-16]) or -f FILE.",
        )
    return nodes


def required(machines: Sequence[str], node_file: str | None) -> NodeSet:
    """Returns the nodes that `-m` and `-f` name, of which there must be one."""
    nodes = from_options(machines, node_file)
    if not nodes:
        raise UsageFailure("no node is named", advice="Name nodes with -m NODES (node-[1-16]) or -f FILE.")
    return nodes


def parse(word: str, source: str) -> NodeSet:
    """Returns the nodes of one word, or says that it is no node set."""
    if WILDCARDS.search(word):
        # ClusterShell would look for nodes of its own configuration.
        raise UsageFailure(f"{source}: {word!r} has a wildcard; nodes are named", advice=LOOKS)
    for first, last in RANGE.findall(word):
        # Guarded before ClusterShell unfolds the range in memory.
        if len(first) > 9 or len(last) > 9 or int(last) - int(first) >= MAXIMUM_NODES:  # noqa: PLR2004
            _limit(MAXIMUM_NODES + 1)
    try:
        nodes = NodeSet(word)
        _limit(len(nodes))
    except (NodeSetException, ValueError, IndexError) as error:
        reason = "".join(letter if letter.isprintable() else "?" for letter in str(error))
        raise UsageFailure(f"{source}: {word!r} is not a node set: {reason}", advice=LOOKS) from None
    return nodes


def _from_file(name: str) -> NodeSet:
    source = "stdin" if name == "-" else name
    content = read_file(name)
    nodes = NodeSet()
    for line in lines(decode(content, source), source):
        for word in line.text.split():
            nodes.update(parse(word, f"{source}, line {line.number}"))
    return nodes


def read_file(name: str) -> bytes:
    """Returns a file's content, stdin's for "-", or says why it cannot be read. `decode` refuses what is too long."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAXIMUM_SIZE + 1)
        with Path(name).open("rb") as file:
            return file.read(MAXIMUM_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise UsageFailure(f"{name} cannot be read: {reason}") from None


def _limit(count: int) -> None:
    if count > MAXIMUM_NODES:
        raise UsageFailure(f"a node set has at most {MAXIMUM_NODES} nodes")
