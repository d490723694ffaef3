"""From the text of a node set to names, in natural order."""

from itertools import pairwise, product
from math import prod

from kadeploy_nodeset.errors import NodeSetError
from kadeploy_nodeset.grammar import Bracket, Term, read_terms, too_many
from kadeploy_nodeset.natural_order import natural_order

MAXIMUM_NODES = 100_000
MAXIMUM_TEXT = 1 << 20
"""Characters."""


def expand(text: str, *, most: int = MAXIMUM_NODES) -> tuple[str, ...]:
    """Returns the names of a node set, each once, in natural order.

    Args:
        text: the set, such as `node-[1-16,20],gpu-3`.
        most: how many names it may write down, doubles and those that an operator takes away again included.

    Raises:
        NodeSetError: it is no node set, names no node, or more than `most`.
    """
    if len(text) > MAXIMUM_TEXT:
        raise NodeSetError(f"is longer than {MAXIMUM_TEXT} characters")
    if not text.strip(" \t"):
        raise NodeSetError("must name at least one node")
    names: set[str] = set()
    room, in_order = most, []
    for number, term in enumerate(read_terms(text, most=most)):
        room -= _size(term)
        if room < 0:
            raise too_many(most)
        made = _names(term)
        # The usual set is one term, whose names need no sorting.
        in_order = made if number == 0 and _is_ascending(term) else []
        _join(names, term.operator, made)
    if not names:
        raise NodeSetError("names no node after its operators")
    return tuple(in_order or sorted(names, key=natural_order))


def _size(term: Term) -> int:
    return prod(sum(one.size for one in part) for part in term.parts if not isinstance(part, str))


def _names(term: Term) -> list[str]:
    if len(term.parts) == 1 and isinstance(term.parts[0], str):
        return [term.parts[0]]
    return ["".join(parts) for parts in product(*map(_texts, term.parts))]


def _texts(part: str | Bracket) -> list[str]:
    return [part] if isinstance(part, str) else [text for one in part for text in one.texts()]


def _join(names: set[str], operator: str, made: list[str]) -> None:
    match operator:
        case "!":
            names.difference_update(made)
        case "&":
            names.intersection_update(made)
        case "^":
            names.symmetric_difference_update(made)
        case _:
            names.update(made)


def _is_ascending(term: Term) -> bool:
    """Returns whether the names of a term are made in natural order, each once."""
    before = ""
    for part in term.parts:
        if isinstance(part, str):
            if before == "]" and part[0].isdigit():
                return False
            before = part[-1]
            continue
        if before.isdigit() or any(later.first <= earlier.last for earlier, later in pairwise(part)):
            return False
        before = "]"
    return True
