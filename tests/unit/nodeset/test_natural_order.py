"""The order of node lists."""

from hypothesis import given
from hypothesis import strategies as st

from kadeploy_nodeset import natural_key, natural_order


def test_a_list_of_nodes_counts_as_people_do() -> None:
    wanted = ["a", "n1", "n01", "n2", "n10", "node-2", "node-2-1", "node-10", "node-10-1"]
    shuffled = sorted(wanted, reverse=True)
    assert sorted(shuffled, key=natural_order) == sorted(wanted, key=natural_order)
    assert sorted(["node-10", "node-2", "node-1"], key=natural_order) == ["node-1", "node-2", "node-10"]


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_numbers_in_names_compare_as_numbers(left: int, right: int) -> None:
    assert (natural_key(f"n{left}") < natural_key(f"n{right}")) == (left < right)
