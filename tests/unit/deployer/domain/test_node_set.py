"""Node sets."""

import pytest

from kadeploy_deployer.domain.errors import InvalidNodeSet
from kadeploy_deployer.domain.node_set import expand, fold


def test_a_node_set_is_expanded_in_order_with_its_zeros_and_folded_again() -> None:
    assert expand("node[08-10,1],gpu3") == ("gpu3", "node1", "node08", "node09", "node10")
    assert fold(["node1", "node2", "node3"]) == "node[1-3]"


@pytest.mark.parametrize("text", ["", "  ", "node[", "node[3-1]", "@group", "a;b", "a" * 2_000_000])
def test_what_is_no_node_set_is_refused(text: str) -> None:
    with pytest.raises(InvalidNodeSet):
        expand(text)


@pytest.mark.parametrize(
    "text", ["node[1-100001]", "n[1-999999999999]", "rack[1-1000]-node[1-1000]", "a[1-60000],b[1-60000]"]
)
def test_a_node_set_that_is_too_large_is_refused_before_it_is_made(text: str) -> None:
    with pytest.raises(InvalidNodeSet, match="more than 100000 nodes"):
        expand(text)
