"""Node sets: expanded in order, bounded, refused with a reason."""

import pytest
from ClusterShell.NodeSet import NodeSet
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_inventory.domain.errors import InvalidNodeSet
from kadeploy_inventory.domain.node_set import MAXIMUM_NODES, expand
from kadeploy_nodeset import natural_order

NAMES = st.from_regex(r"[a-z]{1,3}(-?[0-9]{1,3}){0,2}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("node-1", ["node-1"]),
        ("node-[1-2,10],gpu3", ["gpu3", "node-1", "node-2", "node-10"]),
        ("n[01-03]", ["n01", "n02", "n03"]),
        ("r[1-2]-n[1-2]", ["r1-n1", "r1-n2", "r2-n1", "r2-n2"]),
        ("n[1-5]!n[2-4]", ["n1", "n5"]),
        ("n2,n1,n2", ["n1", "n2"]),
    ],
)
def test_a_set_is_expanded_in_natural_order(text: str, names: list[str]) -> None:
    assert list(expand(text)) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at least one"),
        (" ", "at least one"),
        ("n[1-3", "cannot be understood"),
        ("n[3-1]", "cannot be understood"),
        ("@compute", "group"),
        ("*", "is a wildcard"),
        ("n1 n2", "at character 4"),
        ("N1", "holds a name"),
        ("n1&n2", "names no node"),
        ("n[1-10001]", "more than"),
        ("n[1-99999999999999999]", "more than"),
        ("r[1-200]n[1-200]", "more than"),
        ("n," * 200_000, "more than"),
    ],
)
def test_what_is_no_set_of_nodes_is_refused_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(InvalidNodeSet) as refusal:
        expand(text, field="filter.nodes")
    assert said in refusal.value.message
    assert len(refusal.value.message) < 300
    assert refusal.value.violations[0].field == "filter.nodes"


def test_a_set_of_the_largest_size_is_expanded() -> None:
    assert len(expand(f"n[1-{MAXIMUM_NODES}]")) == MAXIMUM_NODES


@given(st.sets(NAMES, min_size=1, max_size=20))
def test_a_folded_set_expands_to_its_names(names: set[str]) -> None:
    text = str(NodeSet.fromlist(names))
    assert list(expand(text)) == sorted(names, key=natural_order)


@given(st.text(alphabet="n1-9[],!&^@*/. ", max_size=30))
def test_any_text_is_expanded_or_refused_and_nothing_else(text: str) -> None:
    try:
        assert expand(text)
    except InvalidNodeSet as refusal:
        assert refusal.violations  # noqa: PT017
