"""Node sets of requests."""

import pytest

from kadeploy_bootctl.domain.errors import InvalidNodeSet
from kadeploy_bootctl.domain.node_set import expand


def test_a_node_set_is_expanded_in_order() -> None:
    assert expand("node-[01-03,10],gpu3") == ("gpu3", "node-01", "node-02", "node-03", "node-10")


@pytest.mark.parametrize("text", ["", "  ", "n[1-", "n[1-10001]", "n[1-1000]x[1-1000]", "@group", "n/1", "n1!n1"])
def test_what_is_no_node_set_is_refused_before_it_is_expanded(text: str) -> None:
    with pytest.raises(InvalidNodeSet):
        expand(text)
