"""What reading a hostile text costs in every service and in the client: a bound of processor time and of memory."""

import random
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest

from kadeploy_bootctl.domain import node_set as bootctl
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_deployer.domain import node_set as deployer
from kadeploy_edge.errors import Invalid
from kadeploy_inventory.domain import node_set as inventory
from kadeploy_nodeset import MAXIMUM_NODES, MAXIMUM_TEXT, NodeSetError, expand, fold

MOST_SECONDS = 1.0
MOST_BYTES = 128 << 20


def of_numbers(count: int, *, letters: str = "abc", most: int = 60) -> list[str]:
    chance = random.Random(1)  # noqa: S311 - the same names each time
    return ["-".join(f"{letter}{chance.randrange(1, most)}" for letter in letters) for _ in range(count)]


TEXTS = {
    "a blank in a range": "a[1- 30000000]",
    "a negative bound": "a[-5-30000000]",
    "opening brackets": "[" * 40_000,
    "as many opening brackets as a text has room for": "[" * MAXIMUM_TEXT,
    "names of three numbers": ",".join(of_numbers(3000)),
    "many names of three numbers": ",".join(of_numbers(70_000)),
    "a number of twenty-two digits": "a[0-1000000000000000000000]",
    "names with blanks between": " ".join(f"a{number}[1-2]x{number}" for number in range(4900)),
    "digits": "1" * MAXIMUM_TEXT,
    "commas": "," * MAXIMUM_TEXT,
    "blanks": "n1" + " " * (MAXIMUM_TEXT - 10) + "&",
    "ranges without end": "n[" + "1-9," * (MAXIMUM_TEXT // 4 - 10) + "]",
    "brackets": "n" + "[1-2]x" * (MAXIMUM_TEXT // 6 - 10),
    "operators": "!".join(["n[1-10]"] * 100_000),
    "the largest set": f"n[1-{MAXIMUM_NODES}]",
    "long names": "n" * 240 + "[1-9999]",
}


def read_by_client(text: str) -> object:
    return node_names.parse(text, "-m")


@pytest.mark.parametrize("read", [inventory.expand, deployer.expand, bootctl.expand, read_by_client])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_of_any_kind_is_read_or_refused_within_bounds(read: Callable[[str], object], text: str) -> None:
    begin = time.thread_time()
    with suppress(Invalid, UsageFailure):
        read(text)
    assert time.thread_time() - begin < MOST_SECONDS


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_of_any_kind_is_read_or_refused_in_bounded_memory(text: str) -> None:
    tracemalloc.start()
    try:
        with suppress(NodeSetError):
            expand(text)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def test_names_of_several_numbers_are_folded_in_linear_time() -> None:
    spent = []
    for count in (10_000, 80_000):
        names, took = of_numbers(count, most=1000), []
        # The best of three: what else runs on the machine empties its caches.
        for _ in range(3):
            begin = time.thread_time()
            fold(names)
            took.append(time.thread_time() - begin)
        spent.append(min(took))
    assert spent[1] < 3.0
    # Eight times as many: a quadratic way would take 64 times as long.
    assert spent[1] < 24 * spent[0]
