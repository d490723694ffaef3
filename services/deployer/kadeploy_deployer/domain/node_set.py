"""Node sets: "node[1-16,20]" and back. ClusterShell reads and folds them; groups are not looked up."""

from collections.abc import Iterable

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

from kadeploy_deployer.domain.errors import InvalidNodeSet

MAXIMUM_TEXT = 1_000_000
MAXIMUM_NODES = 100_000


def expand(text: str) -> tuple[str, ...]:
    """Returns the names of a node set in its order, or raises InvalidNodeSet; empty text is no node set."""
    if not text.strip():
        raise InvalidNodeSet(text, "it names no node")
    if len(text) > MAXIMUM_TEXT:
        raise InvalidNodeSet(text[:40] + "…", f"it is longer than {MAXIMUM_TEXT} characters")
    try:
        nodes = NodeSet(text, resolver=RESOLVER_NOGROUP)
        count = len(nodes)
    except NodeSetException as error:
        raise InvalidNodeSet(text, str(error)) from None
    if count > MAXIMUM_NODES:
        raise InvalidNodeSet(text, f"it has more than {MAXIMUM_NODES} nodes")
    if not count:
        raise InvalidNodeSet(text, "it names no node")
    return tuple(str(node) for node in nodes)


def fold(nodes: Iterable[str]) -> str:
    """Returns names as one short node set."""
    return str(NodeSet.fromlist(list(nodes), resolver=RESOLVER_NOGROUP))
