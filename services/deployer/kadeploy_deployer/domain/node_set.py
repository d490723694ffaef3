"""Node sets of requests: "node[1-16,20]" and back."""

from kadeploy_deployer.domain.errors import InvalidNodeSet
from kadeploy_nodeset import NodeSetError, fold
from kadeploy_nodeset import expand as expand_names

__all__ = ["expand", "fold"]


def expand(text: str) -> tuple[str, ...]:
    """Returns the names of a node set in natural order, or raises InvalidNodeSet; empty text is no node set."""
    try:
        return expand_names(text)
    except NodeSetError as error:
        raise InvalidNodeSet(text, str(error)) from None
