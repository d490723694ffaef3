"""Node sets: `node[1-16,20]`, expanded by ClusterShell, with a bound and without groups."""

import re

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

from kadeploy_edge.errors import FieldViolation
from kadeploy_inventory.domain.errors import InvalidNodeSet
from kadeploy_inventory.domain.names import are_node_names, natural_order, parse_node_name

MAXIMUM_NODES = 10_000
MAXIMUM_TEXT = 200_000
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})(?:/\d{1,18})?\Z")
# Outside of brackets these separate the members of a set.
_OPERATORS = re.compile(r"[,!&^\s]")


def expand(text: str, *, field: str = "nodes") -> tuple[str, ...]:
    """Returns the names of a node set in their natural order, or raises InvalidNodeSet.

    Args:
        text: the set, such as `node[1-16,20],gpu3`.
        field: the field of the request, for the error.
    """
    if not text.strip():
        raise _invalid(text, field, "must name at least one node")
    if len(text) > MAXIMUM_TEXT or _upper_bound(text) > MAXIMUM_NODES:
        raise _invalid(text, field, f"names more than {MAXIMUM_NODES} nodes")
    try:
        names = list(NodeSet(text, resolver=RESOLVER_NOGROUP))
    except NodeSetException as error:
        raise _invalid(text, field, f"cannot be understood: {error}") from error
    if not names:
        raise _invalid(text, field, "names no node after its operators")
    if not are_node_names(names):
        for name in names:
            _check_name(name, text, field)
    return tuple(sorted(names, key=natural_order))


def _check_name(name: str, text: str, field: str) -> None:
    if name.startswith("@"):
        raise _invalid(text, field, f"names the group {name}; name its nodes instead")
    try:
        parse_node_name(name)
    except ValueError as error:
        raise _invalid(text, field, f"holds a name that {error}") from error


def _upper_bound(text: str) -> int:
    """Returns at most how many names the set can expand to, before anything is expanded."""
    counts = [str(_range_sizes(inside.group(1))) for inside in _BRACKETS.finditer(text)]
    replaced = iter(counts)
    plain = _BRACKETS.sub(lambda _match: f"[{next(replaced)}]", text)
    total = 0
    for member in _OPERATORS.split(plain):
        product = 1
        for size in re.findall(r"\[(\d+)\]", member):
            product *= int(size)
        total += product if member else 0
    return total


def _range_sizes(inside: str) -> int:
    total = 0
    for part in inside.split(","):
        match = _RANGE.match(part.strip())
        total += abs(int(match.group(2)) - int(match.group(1))) + 1 if match else 1
    return total


def _invalid(text: str, field: str, description: str) -> InvalidNodeSet:
    shown = text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004
    return InvalidNodeSet.of(f"node set {shown!r}", [FieldViolation(field=field, description=description)])
