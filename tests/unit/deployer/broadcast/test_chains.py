"""How many chains there are, and who stands in which."""

import pytest

from kadeploy_deployer.broadcast.chains import chains_for, link_mbits

GIB = 1 << 30


@pytest.mark.parametrize(
    ("nodes", "node_mbits", "source_mbits", "expected"),
    [
        (8, 1000, 10_000, 1),
        (300, 1000, 1000, 1),
        (300, 1000, 10_000, 2),
        (1000, 1000, 10_000, 5),
        (10_000, 1000, 10_000, 10),
        (10_000, 10_000, 10_000, 1),
        (10_000, 0, 10_000, 1),
        (10_000, 1000, 0, 1),
        (0, 1000, 10_000, 1),
    ],
)
def test_there_are_as_many_chains_as_the_deployers_link_bears_and_start_up_asks_for(
    nodes: int, node_mbits: int, source_mbits: int, expected: int
) -> None:
    assert chains_for(GIB, nodes=nodes, node_mbits=node_mbits, source_mbits=source_mbits) == expected


def test_a_file_without_bytes_needs_one_chain() -> None:
    assert chains_for(0, nodes=300, node_mbits=1000, source_mbits=10_000) == 1


def test_a_link_that_does_not_say_how_fast_it_is_has_no_speed() -> None:
    assert link_mbits("127.0.0.1") == 0
    assert link_mbits("192.0.2.99") == 0
    assert link_mbits("") == 0
