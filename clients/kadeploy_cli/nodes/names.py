"""The nodes that a command is about: `-m` repeated, `-f FILE` or `-f -`, as one node set."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import click

from kadeploy_cli.connection.session import Session
from kadeploy_cli.descriptions.text import MAXIMUM_SIZE, decode, lines, shown
from kadeploy_cli.nodes.short_names import full_names
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_nodeset import MAXIMUM_NODES, NodeSet, NodeSetError

LOOKS = "Node sets look like node-[1-16,20],gpu-3."

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
    names: list[str] = []
    # A blank word, as of a variable that is not set, names none.
    words = [(word, "-m") for word in machines if word.strip()]
    for word, source in chain(words, _words_of_file(node_file) if node_file is not None else ()):
        names += _parse(word, source)
        _limit(len(names))
    if not names and (machines or node_file is not None):
        # Not the same as naming none, which means every node to some commands.
        said = [repr(word) for word in machines] + ([node_file] if node_file else [])
        raise UsageFailure(
            f"{', '.join(said)} {'names' if len(said) == 1 else 'name'} no node",
            advice="Name nodes with -m NODES (node-[1-16]) or -f FILE.",
        )
    return _in_full(NodeSet(names))


def required(machines: Sequence[str], node_file: str | None) -> NodeSet:
    """Returns the nodes that `-m` and `-f` name, of which there must be one."""
    nodes = from_options(machines, node_file)
    if not nodes:
        raise UsageFailure("no node is named", advice="Name nodes with -m NODES (node-[1-16]) or -f FILE.")
    return nodes


def of_job() -> NodeSet:
    """Returns the nodes of the batch scheduler's job in which the command runs; empty outside of one."""
    for variable in ("OAR_NODEFILE", "OAR_NODE_FILE"):
        if file := os.environ.get(variable, ""):
            return from_options((), file)
    words = os.environ.get("SLURM_JOB_NODELIST", "")
    return parse(words, "SLURM_JOB_NODELIST") if words else NodeSet()


def parse(word: str, source: str) -> NodeSet:
    """Returns the nodes of one word, or says that it is no node set."""
    return _in_full(_parse(word, source))


def single(word: str) -> str:
    """Returns the name of one node."""
    nodes = required([word], None)
    if len(nodes) != 1:
        raise UsageFailure(f"{nodes} is more than one node")
    return str(nodes)


def _in_full(nodes: NodeSet) -> NodeSet:
    """Returns the nodes by their registered names, where a command runs that has a session."""
    context = click.get_current_context(silent=True)
    session = context.find_object(Session) if context else None
    return full_names(session, nodes) if session else nodes


def _parse(word: str, source: str) -> NodeSet:
    try:
        return NodeSet.parse(word)
    except NodeSetError as error:
        raise UsageFailure(f"{source}: {shown(word)} is not a node set: {error}", advice=LOOKS) from None


def _words_of_file(name: str) -> Iterator[tuple[str, str]]:
    source = "stdin" if name == "-" else name
    for line in lines(decode(read_file(name), source), source):
        for word in line.text.split():
            yield word, f"{source}, line {line.number}"


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
