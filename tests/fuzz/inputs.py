"""Texts for a parser: what it accepts with something put in, taken out, doubled or repeated many times."""

import random

LONGEST = 16 * 1024
ONE_IN_LONG = 200

WORDS = """
, ,, ! & ^ @ @all * ? - -- / [ ] [[ ][ [] [1- -1] [1-99999] [0-999999999999999999] [01-10] [1-010] [-5-3] [1-9/0]
: :: . .. ../ % %s { } {} {name} {{ # \\# = ; " ' | ~ 0 00 -0 0x 1e9 1_000 ff null true name nodes swap extended sda
part= *a --- ... \N{PILE OF POO} é ٣
"""
PIECES = (
    *WORDS.split(),
    *("", " ", "\t", "\n", "\r\n", "\0", "\x1b[2J", "\u2028", "\x85", "\u202e", "\ufeff", "1" * 30),
    *("[ 1]", "[1- 30000000]", "&a ", "<<: *a", "!!binary x", "- ", ": ", "? ", "{a: ", "[a, "),
    *("\n  ", "\n- ", ">\n", "|\n"),
)


def make_input(chance: random.Random, seeds: tuple[str, ...]) -> str:
    """Returns a text, of up to 16 KiB in one of two hundred cases and short otherwise."""
    text = chance.choice(seeds)
    if chance.random() < 0.1:
        text = ""
    for _ in range(chance.randint(1, 5)):
        text = _changed(chance, text)
    if not chance.randrange(ONE_IN_LONG):
        begin = chance.randint(0, len(text))
        piece = text[begin : begin + chance.randint(1, 40)] or chance.choice(PIECES) or "["
        text = text[:begin] + piece * (chance.randint(1, LONGEST) // len(piece) + 1) + text[begin:]
    return text[:LONGEST]


def _changed(chance: random.Random, text: str) -> str:
    begin = chance.randint(0, len(text))
    end = min(begin + chance.randint(0, 12), len(text))
    match chance.randrange(4):
        case 0:
            return text[:begin] + chance.choice(PIECES) + text[end:]
        case 1:
            return text[:begin] + text[end:]
        case 2:
            return text[:end] + text[begin:]
        case _:
            return text[:begin] + chance.choice(PIECES) + text[begin:]
