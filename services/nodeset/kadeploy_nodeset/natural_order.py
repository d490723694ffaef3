"""The order of node lists: node-2 before node-10."""

import re
from functools import lru_cache

_DIGITS = re.compile(r"([0-9]+)")


@lru_cache(maxsize=20_000)
def natural_key(name: str) -> str:
    """Returns a key under which `node-2` comes before `node-10` when compared letter by letter.

    Each run of digits is led by its length, so that a database sorts it as a number.
    """
    parts = _DIGITS.split(name)
    for index in range(1, len(parts), 2):
        number = parts[index].lstrip("0") or "0"
        parts[index] = f"{len(number):02d}{number}"
    return "".join(parts)


def natural_order(name: str) -> tuple[str, str]:
    """Returns the sort key of node lists; names alike but for leading zeros fall back to letters."""
    return natural_key(name), name
