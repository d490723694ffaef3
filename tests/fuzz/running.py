"""Gives each parser its inputs, and notes what took too long and what ended in an error that is no refusal."""

import random
import time
import zlib
from dataclasses import dataclass, field

from tests.fuzz.inputs import make_input
from tests.fuzz.parsers import PARSERS, Parser

MOST_SECONDS = 1.0
SECONDS_PER_CHARACTER = 100e-6
"""Processor time for one input. A set of 100,000 names takes 0.3 s, and YAML is read at some 100 KB/s."""
MOST_FAULTS = 5


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one parser. `slowest_seconds`: processor time. `faults`: at most five, each with its input."""

    inputs: int = 0
    refused: int = 0
    slowest_seconds: float = 0.0
    slowest_input: str = ""
    faults: list[str] = field(default_factory=list)


def run(count: int, *, seed: int) -> dict[str, Outcome]:
    """Fuzzes all parsers with so many inputs in all. The same seed gives the same inputs."""
    shares = sum(parser.share for parser in PARSERS.values())
    return {
        name: _fuzz(parser, count * parser.share // shares + 1, seed=seed ^ zlib.crc32(name.encode()))
        for name, parser in PARSERS.items()
    }


def _fuzz(parser: Parser, count: int, *, seed: int) -> Outcome:
    chance, outcome = random.Random(seed), Outcome()  # noqa: S311 - the same inputs each time
    for _ in range(count):
        text = make_input(chance, parser.seeds)
        begin = time.thread_time()
        try:
            parser.read(text)
        except parser.refusals:
            outcome.refused += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault
            _note(outcome, f"{type(error).__name__}: {error!s:.200}", text)
        spent = time.thread_time() - begin
        outcome.inputs += 1
        if spent > outcome.slowest_seconds:
            outcome.slowest_seconds, outcome.slowest_input = spent, text[:200]
        if spent > MOST_SECONDS + SECONDS_PER_CHARACTER * len(text):
            _note(outcome, f"{spent:.2f} s for {len(text)} characters", text)
    return outcome


def _note(outcome: Outcome, problem: str, text: str) -> None:
    if len(outcome.faults) < MOST_FAULTS:
        outcome.faults.append(f"{problem}, with {text[:300]!a}")
