"""Node sets such as "node[1-16,20]", expanded by ClusterShell, with a bound and without groups."""

import math
import re

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

from kadeploy_bootctl.domain.errors import InvalidNodeSet
from kadeploy_bootctl.domain.texts import is_node_name

MAXIMUM_NODES = 10_000
MAXIMUM_TEXT = 1_000_000
_MEMBER = re.compile(r"(?:\[[^\]]*\]|[^\[,])+")
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})")


def expand(text: str) -> tuple[str, ...]:
    """Returns the names of a node set in its order, or raises InvalidNodeSet; empty text is no node set."""
    if not text.strip():
        raise InvalidNodeSet(text, "must name at least one node")
    # ClusterShell expands ranges as it reads them: a huge one must not get that far.
    if len(text) > MAXIMUM_TEXT or _upper_bound(text) > MAXIMUM_NODES:
        raise InvalidNodeSet(text, f"names more than {MAXIMUM_NODES} nodes")
    try:
        names = tuple(str(node) for node in NodeSet(text, resolver=RESOLVER_NOGROUP))
    except NodeSetException as error:
        raise InvalidNodeSet(text, f"cannot be understood: {error}") from None
    if not names:
        raise InvalidNodeSet(text, "names no node")
    for name in names:
        if not is_node_name(name):
            raise InvalidNodeSet(text, f"holds {name!r}, which is no host name")
    return names


def _upper_bound(text: str) -> int:
    """Returns at most how many names the set has, before anything is expanded."""
    return sum(
        math.prod(sum(_size(part) for part in inside.split(",")) for inside in _BRACKETS.findall(member))
        for member in _MEMBER.findall(text)
    )


def _size(part: str) -> int:
    match = _RANGE.match(part.strip())
    return abs(int(match[2]) - int(match[1])) + 1 if match else 1
