"""Node sets: "node[1-16,20]" and back. ClusterShell reads and folds them; groups are not looked up."""

import math
import re
from collections.abc import Iterable

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

from kadeploy_deployer.domain.errors import InvalidNodeSet

MAXIMUM_TEXT = 1_000_000
MAXIMUM_NODES = 100_000

_TERM = re.compile(r"(?:\[[^\]]*\]|[^,\s&!^\[])+")
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_RANGE = re.compile(r"(\d+)-(\d+)(?:/(\d+))?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def expand(text: str) -> tuple[str, ...]:
    """Returns the names of a node set in its order, or raises InvalidNodeSet; empty text is no node set."""
    if not text.strip():
        raise InvalidNodeSet(text, "it names no node")
    if len(text) > MAXIMUM_TEXT:
        raise InvalidNodeSet(text[:40] + "…", f"it is longer than {MAXIMUM_TEXT} characters")
    if _most(text) > MAXIMUM_NODES:
        raise InvalidNodeSet(text, f"it has more than {MAXIMUM_NODES} nodes")
    try:
        names = tuple(NodeSet(text, resolver=RESOLVER_NOGROUP))
    except NodeSetException as error:
        raise InvalidNodeSet(text, str(error)) from None
    if not names:
        raise InvalidNodeSet(text, "it names no node")
    if not all(map(_NAME.fullmatch, names)):
        wrong = next(name for name in names if not _NAME.fullmatch(name))
        raise InvalidNodeSet(text, f'"{wrong[:40]}" is no name of a node')
    return names


def fold(nodes: Iterable[str]) -> str:
    """Returns names as one short node set."""
    return str(NodeSet.fromlist(list(nodes), resolver=RESOLVER_NOGROUP))


def _most(text: str) -> int:
    """Returns how many nodes the text can name at most, without making them: ten letters can name a billion."""
    return sum(
        math.prod(sum(map(_span, brackets.split(","))) for brackets in _BRACKETS.findall(term))
        for term in _TERM.findall(text)
    )


def _span(part: str) -> int:
    match = _RANGE.fullmatch(part.strip())
    if match is None:
        return 1
    first, last, step = int(match[1][-18:]), int(match[2][-18:]), int((match[3] or "1")[-18:])
    return max((last - first) // max(step, 1) + 1, 1)
