"""Nodes as people name them: by the first labels of their names, or by IP address."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

MOST = 16
"""So many names are told of a word that fits several."""


def found_names(words: Iterable[str], addresses: Mapping[str, str], *, domain: str) -> dict[str, list[str]]:
    """Returns the names that each word fits which is not a name itself; what fits none is left out.

    Args:
        words: as people wrote them.
        addresses: the IP address of every node, by its name.
        domain: preferred where a word fits several; may be empty.
    """
    at_address = {address: name for name, address in addresses.items()}
    ordered = sorted(addresses)
    found = {}
    for word in words:
        if word in addresses:
            continue
        preferred = f"{word}.{domain}"
        if word in at_address:
            names = [at_address[word]]
        elif preferred in addresses:
            names = [preferred]
        else:
            names = _beginning_with(f"{word}.", ordered)
        if names:
            found[word] = names
    return found


def _beginning_with(beginning: str, ordered: Sequence[str]) -> list[str]:
    start = bisect_left(ordered, beginning)
    end = start
    while end < len(ordered) and ordered[end].startswith(beginning) and end - start < MOST:
        end += 1
    return list(ordered[start:end])
