"""Words with one bracket that stand for several: `node-[1-16]`, `10.0.0.[11-26]`, `52:54:00:12:34:[01-10]`.

Unlike a node set, such a word keeps the order in which it is written, because the first name goes with the first
address. Bounds keep the width of the lower one, so that leading zeros stay.
"""

import re

from kadeploy_cli.descriptions.yaml_text import Place

MAXIMUM_WORDS = 100_000
MAXIMUM_DIGITS = 9
BRACKET = re.compile(r"([^\[\]]*)\[([^\[\]]*)\]([^\[\]]*)")
DECIMAL = re.compile(r"([0-9]+)(?:-([0-9]+))?")
HEXADECIMAL = re.compile(r"([0-9a-fA-F]+)(?:-([0-9a-fA-F]+))?")


def read(place: Place, *, hexadecimal: bool = False) -> list[str]:
    """Returns the words that a scalar, or a list of scalars, stands for."""
    places = place.items() if place.is_list else [place]
    words: list[str] = []
    for each in places:
        words += expand(each, each.text(), hexadecimal=hexadecimal)
        if len(words) > MAXIMUM_WORDS:
            raise each.failure(f"names more than {MAXIMUM_WORDS}")
    return words


def expand(place: Place, word: str, *, hexadecimal: bool = False) -> list[str]:
    """Returns the words that one word stands for, in the order that is written."""
    if "[" not in word and "]" not in word:
        return [word]
    found = BRACKET.fullmatch(word)
    if not found:
        raise place.failure(f"one range in brackets is expected, such as node-[1-16], not {word[:60]!r}")
    before, inside, after = found.groups()
    pattern, base = (HEXADECIMAL, 16) if hexadecimal else (DECIMAL, 10)
    words: list[str] = []
    for part in inside.split(","):
        bounds = pattern.fullmatch(part.strip())
        if not bounds or any(len(bound or "") > MAXIMUM_DIGITS for bound in bounds.groups()):
            kind = "hexadecimal numbers" if hexadecimal else "numbers"
            raise place.failure(f"a range of {kind} such as 01-10 is expected in the brackets, not {part[:60]!r}")
        first, last = int(bounds[1], base), int(bounds[2] or bounds[1], base)
        if last < first or len(words) + last - first >= MAXIMUM_WORDS:
            raise place.failure(f"the range {part.strip()} has no or too many members")
        form = "x" if hexadecimal else "d"
        width = len(bounds[1])
        words += [f"{before}{number:0{width}{form}}{after}" for number in range(first, last + 1)]
    return words
