"""Node sets of requests: host names, at most as many as one call sets entries for."""

from kadeploy_bootctl.domain.errors import InvalidNodeSet
from kadeploy_bootctl.domain.texts import is_node_name
from kadeploy_nodeset import NodeSetError
from kadeploy_nodeset import expand as expand_names

MAXIMUM_NODES = 10_000


def expand(text: str) -> tuple[str, ...]:
    """Returns the names of a node set in natural order, or raises InvalidNodeSet; empty text is no node set."""
    try:
        names = expand_names(text, most=MAXIMUM_NODES)
    except NodeSetError as error:
        problem = f"cannot be understood: {error}" if error.position else error.problem
        raise InvalidNodeSet(text, problem) from None
    for name in names:
        if not is_node_name(name):
            raise InvalidNodeSet(text, f"holds {name!r}, which is no host name")
    return names
