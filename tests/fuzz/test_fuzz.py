"""A short run of the fuzz at every run of the tests; `make fuzz` gives a million inputs."""

import random

import pytest

from tests.fuzz.inputs import LONGEST, make_input
from tests.fuzz.parsers import PARSERS
from tests.fuzz.running import run

COUNT = 6000


def test_every_parser_reads_or_refuses_any_text_in_bounded_time() -> None:
    outcomes = run(COUNT, seed=random.randrange(1 << 30))  # noqa: S311 - other inputs each time; faults show them
    assert sum(outcome.inputs for outcome in outcomes.values()) >= COUNT
    assert {name: outcome.faults for name, outcome in outcomes.items() if outcome.faults} == {}


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_accepts_its_seeds_and_refuses_some_of_the_inputs(name: str) -> None:
    parser = PARSERS[name]
    for seed in parser.seeds:
        assert parser.read(seed) is not None
    chance, refused = random.Random(1), 0  # noqa: S311
    for _ in range(200):
        text = make_input(chance, parser.seeds)
        assert len(text) <= LONGEST
        try:
            parser.read(text)
        except parser.refusals:
            refused += 1
    assert refused
