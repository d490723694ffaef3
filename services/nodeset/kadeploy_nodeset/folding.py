"""From names to a short node set, and back by `expand`.

Each name is a pattern with numbers in it. Names that differ in their last number alone become one with a bracket; then
those that differ in the number before it, and so on, so that every pass looks at each name once. The result is that of
ClusterShell where names hold one number; with more it may be longer, for the shortest set costs quadratic time.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from kadeploy_nodeset.grammar import LONGEST_NUMBER, MOST_BRACKETS

_DIGITS = re.compile(r"([0-9]+)")

Numbers = tuple[str, ...]
"""The numbers of a name as they stand there; after folding a number may be a list of ranges."""


def fold(names: Iterable[str]) -> str:
    """Returns names, in any order and perhaps doubled, as one short node set; the empty text for none."""
    by_pattern: dict[tuple[str, ...], list[Numbers]] = defaultdict(list)
    for name in dict.fromkeys(names):
        texts, numbers = _taken_apart(name)
        by_pattern[texts].append(numbers)
    terms: list[str] = []
    for texts in sorted(by_pattern, key="%s".join):
        terms += (_written(texts, numbers) for numbers in _folded(by_pattern[texts], len(texts) - 1))
    return ",".join(terms)


def _taken_apart(name: str) -> tuple[tuple[str, ...], Numbers]:
    """Returns the texts around the last numbers of a name, and these numbers."""
    parts = _DIGITS.split(name)
    surplus = max(len(parts) // 2 - MOST_BRACKETS, 0)
    if surplus:
        parts = ["".join(parts[: 2 * surplus + 1]), *parts[2 * surplus + 1 :]]
    if any(len(number) > LONGEST_NUMBER for number in parts[1::2]):
        return (name,), ()
    return tuple(parts[::2]), tuple(parts[1::2])


def _folded(members: Sequence[Numbers], dimensions: int) -> list[Numbers]:
    """Returns the members with each number folded, from the last to the first, in ascending order."""
    for dimension in reversed(range(dimensions)):
        alike: dict[Numbers, list[str]] = defaultdict(list)
        for numbers in members:
            alike[numbers[:dimension] + numbers[dimension + 1 :]].append(numbers[dimension])
        members = [
            (*rest[:dimension], _ranges(several) if len(several) > 1 else several[0], *rest[dimension:])
            for rest, several in alike.items()
        ]
    return sorted(members, key=_order)


def _ranges(numbers: list[str]) -> str:
    """Returns several numbers as a list of ranges: "1-2,7"."""
    found: list[str] = []
    first = last = ""
    for number in sorted(numbers, key=_by_length):
        if last and _follows(first, last, number):
            last = number
            continue
        if last:
            found.append(first if first == last else f"{first}-{last}")
        first = last = number
    return ",".join([*found, first if first == last else f"{first}-{last}"])


def _by_length(number: str) -> tuple[int, str]:
    # Numbers of one width stand together: 1, 2, 10, 08, 09 is no range, 08, 09, 10 is.
    return len(number), number


def _follows(first: str, last: str, number: str) -> bool:
    """Returns whether a range that began with `first` and has come to `last` goes on with a number."""
    return int(number) == int(last) + 1 and (len(number) == len(last) or (first == "0" or first[0] != "0"))


def _order(numbers: Numbers) -> list[tuple[int, str]]:
    return [_by_length(re.split("[,-]", number, maxsplit=1)[0]) for number in numbers]


def _written(texts: Sequence[str], numbers: Numbers) -> str:
    written = [texts[0]]
    for number, text in zip(numbers, texts[1:], strict=True):
        written += (number if number.isdigit() else f"[{number}]", text)
    return "".join(written)
