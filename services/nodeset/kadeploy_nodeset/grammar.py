"""Reads the text of a node set. Nothing here makes a name, so a short text that stands for billions costs nothing.

    set      = term { operator term }         blanks may stand around operators
    operator = ","  "!"  "&"  "^"             union, difference, intersection, symmetric difference; from left to right
    term     = part { part }                  begins with a letter, a digit or a bracket
    part     = letters, digits, ".", "_", "-"
             | "[" range { "," range } "]"    two brackets never touch
    range    = number [ "-" number [ "/" step ] ]

A bound with leading zeros gives all its numbers that width: `[08-10]` is 08, 09, 10. Every read of a pattern begins
where the last one ended, so that time is linear in the length of the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kadeploy_nodeset.errors import NodeSetError

LONGEST_NAME = 253
LONGEST_NUMBER = 18
MOST_BRACKETS = 8
"""In one term."""

_BLANKS = re.compile(r"[ \t]*")
_LETTERS = re.compile(r"[A-Za-z0-9._-]+")
_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+)(?:/([0-9]+))?)?")
_OPERATORS = frozenset(",!&^")
_GROUP = "@"
_WILDCARDS = frozenset("*?")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `first` to `last`, both included, written with at least `width` digits."""

    first: int
    last: int
    step: int
    width: int

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return (self.last - self.first) // self.step + 1

    def texts(self) -> list[str]:
        """Returns the numbers as they stand in names."""
        return [str(number).zfill(self.width) for number in range(self.first, self.last + 1, self.step)]


Bracket = tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """One member of a set: texts and brackets, in order.

    Attributes:
        operator: how its names join those of the terms before it.
        parts: what its names are made of.
        position: where it begins, from 1.
    """

    operator: str
    parts: tuple[str | Bracket, ...]
    position: int


def read_terms(text: str, *, most: int) -> Iterator[Term]:
    """Gives the terms of a node set.

    Args:
        text: the set.
        most: how many numbers one bracket may stand for.

    Raises:
        NodeSetError: at the first character that cannot stand there, or at a bracket of more numbers.
    """
    operator, place = ",", _skip_blanks(text, 0)
    while True:
        begin = place
        parts, place = _read_parts(text, begin, most)
        yield Term(operator, parts, begin + 1)
        place = _skip_blanks(text, place)
        if place == len(text):
            return
        operator = text[place]
        if operator not in _OPERATORS:
            raise _unexpected(text, place, 'a "," between two nodes')
        place = _skip_blanks(text, place + 1)


def too_many(most: int) -> NodeSetError:
    """Returns the error for a set of too many names."""
    return NodeSetError(f"names more than {most} nodes")


def _skip_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place


def _read_parts(text: str, place: int, most: int) -> tuple[tuple[str | Bracket, ...], int]:
    begin, brackets = place, 0
    parts: list[str | Bracket] = []
    while True:
        if letters := _LETTERS.match(text, place):
            parts.append(letters[0])
            place = letters.end()
        if not text.startswith("[", place):
            break
        if parts and not isinstance(parts[-1], str):
            raise _unexpected(text, place, "a letter between two brackets")
        brackets += 1
        if brackets > MOST_BRACKETS:
            raise NodeSetError(f"a name has at most {MOST_BRACKETS} brackets", position=place + 1)
        bracket, place = _read_bracket(text, place, most, after=parts[-1] if parts else "")
        parts.append(bracket)
    if not parts:
        raise _unexpected(text, place, "the name of a node")
    if isinstance(parts[0], str) and not parts[0][0].isalnum():
        raise _unexpected(text, begin, "a letter or a digit at the beginning of a name")
    if sum(map(_longest, parts)) > LONGEST_NAME:
        raise NodeSetError(f"a name has at most {LONGEST_NAME} characters", position=begin + 1)
    return tuple(parts), place


def _read_bracket(text: str, place: int, most: int, *, after: object) -> tuple[Bracket, int]:
    """Returns a bracket that begins at `place`, and where it ends. `after` is what stands before it."""
    after_digit = isinstance(after, str) and after[-1:].isdigit()
    ranges: list[Range] = []
    room = most
    while True:
        place += 1
        found = _RANGE.match(text, place)
        if found is None:
            raise _unexpected(text, place, "a number")
        ranges.append(_range(found, after_digit=after_digit))
        place = found.end()
        room -= ranges[-1].size
        if room < 0:
            raise too_many(most)
        if text.startswith("]", place):
            return tuple(ranges), place + 1
        if not text.startswith(",", place):
            raise _unexpected(text, place, '"," or "]"')


def _range(found: re.Match[str], *, after_digit: bool) -> Range:
    first, last, step = found[1], found[2] or found[1], found[3] or "1"
    here = found.start() + 1
    if max(len(first), len(last), len(step)) > LONGEST_NUMBER:
        raise NodeSetError(f"a number has at most {LONGEST_NUMBER} digits", position=here)
    is_padded = any(bound[0] == "0" and len(bound) > 1 for bound in (first, last))
    if is_padded and len(first) != len(last):
        problem = f"{first}-{last} has leading zeros, so both bounds must have the same number of digits"
        raise NodeSetError(problem, position=here)
    if after_digit and len(first) != len(last):
        # 1[8-10] may mean 18, 19, 110 or 18 to 110.
        problem = f"{first}-{last} follows a digit, so both bounds must have the same number of digits"
        raise NodeSetError(problem, position=here)
    result = Range(int(first), int(last), int(step), len(first) if is_padded else 0)
    if result.last < result.first:
        raise NodeSetError(f"{first}-{last} ends before it begins", position=here)
    if result.step == 0:
        raise NodeSetError("a step is at least 1", position=here)
    return result


def _longest(part: str | Bracket) -> int:
    if isinstance(part, str):
        return len(part)
    return max(max(one.width, len(str(one.last))) for one in part)


def _unexpected(text: str, place: int, expected: str) -> NodeSetError:
    if place >= len(text):
        return NodeSetError(f"expected {expected}, but the text ends", position=place + 1)
    found = text[place]
    if found == _GROUP:
        return NodeSetError("groups are not looked up; name their nodes", position=place + 1)
    if found in _WILDCARDS:
        return NodeSetError(f"{found} is a wildcard; name the nodes", position=place + 1)
    return NodeSetError(f"expected {expected}, found {found!a}", position=place + 1)
