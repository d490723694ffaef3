"""A bad machine costs the good ones of its deployment nothing; `make bench-stragglers` measures it on 300 machines."""

import functools

import pytest

from tests.bench.stragglers import LIMIT, measure
from tests.fakes.timed_site import STRAGGLERS

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

NODES = 30


@functools.cache
def _without() -> dict[str, float]:
    return {}


async def seconds_without() -> float:
    """Returns after how many seconds the last machine is deployed where all are good."""
    if "seconds" not in _without():
        _without()["seconds"] = (await measure("is as good as the rest", 1, nodes=NODES))["last_good_seconds"]
    return _without()["seconds"]


@pytest.mark.parametrize("kind", STRAGGLERS)
async def test_the_good_ones_are_deployed_as_if_it_was_not_there(kind: str) -> None:
    found = await measure(kind, 3, nodes=NODES)
    assert found["good_deployed"] == NODES - 3
    assert found["bad_end_right"]
    assert found["last_good_seconds"] <= await seconds_without() * LIMIT
