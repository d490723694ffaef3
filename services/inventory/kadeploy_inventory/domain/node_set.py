"""Node sets of requests: host names as the inventory registers them, at most as many as one call describes."""

from kadeploy_edge.errors import FieldViolation
from kadeploy_inventory.domain.errors import InvalidNodeSet
from kadeploy_inventory.domain.names import are_node_names, parse_node_name
from kadeploy_nodeset import NodeSetError
from kadeploy_nodeset import expand as expand_names

MAXIMUM_NODES = 10_000
"""Fewer than a node set can name: most answers hold what is known of each node, in one message."""


def expand(text: str, *, field: str = "nodes") -> tuple[str, ...]:
    """Returns the names of a node set in their natural order, or raises InvalidNodeSet.

    Args:
        text: the set, such as `node[1-16,20],gpu3`.
        field: the field of the request, for the error.
    """
    try:
        names = expand_names(text, most=MAXIMUM_NODES)
        if not are_node_names(names):
            _check_names(names)
    except NodeSetError as error:
        shown = text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004
        problem = f"cannot be understood: {error}" if error.position else error.problem
        violation = FieldViolation(field=field, description=problem)
        raise InvalidNodeSet.of(f"node set {shown!a}", [violation]) from None
    return names


def _check_names(names: tuple[str, ...]) -> None:
    for name in names:
        try:
            parse_node_name(name)
        except ValueError as error:
            raise NodeSetError(f"holds a name that {error}") from None
