"""From names to the text of a node set."""

import pytest
from ClusterShell.NodeSet import RESOLVER_NOGROUP
from ClusterShell.NodeSet import NodeSet as ShellNodeSet
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_nodeset import NodeSet, expand, fold


@given(st.lists(st.from_regex(r"[a-z]{1,2}-?[0-9]{0,3}[a-z]?", fullmatch=True), max_size=60))
def test_names_with_one_number_are_folded_as_clustershell_does(names: list[str]) -> None:
    assert fold(names) == str(ShellNodeSet.fromlist(names, resolver=RESOLVER_NOGROUP))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["gpu-1"], "gpu-1"),
        (["n2", "n1", "n2", "n3"], "n[1-3]"),
        (["n8", "n9", "n10", "n08"], "n[8-9,08,10]"),
        (["n098", "n099", "n100", "n99"], "n[99,098-100]"),
        (["n0", "n1", "n00"], "n[0-1,00]"),
        (["r1-n1", "r1-n2", "r2-n1", "r2-n2"], "r[1-2]-n[1-2]"),
        (["r1-n1", "r1-n2", "r2-n1"], "r1-n[1-2],r2-n1"),
        (["1.example.org", "2.example.org"], "[1-2].example.org"),
        (["b", "a", "a1"], "a,a1,b"),
        (["n123456789012345678901", "n1"], "n1,n123456789012345678901"),
    ],
)
def test_names_are_folded(names: list[str], text: str) -> None:
    assert fold(names) == text


def test_a_name_of_many_numbers_is_folded_in_as_many_as_a_set_can_have() -> None:
    names = ["-".join(["1"] * 20 + [str(last)]) for last in range(1, 4)]
    assert fold(names) == "-".join(["1"] * 20) + "-[1-3]"
    assert set(expand(fold(names))) == set(names)


def test_a_set_is_a_value_to_compute_with() -> None:
    nodes = NodeSet.parse("n[1-10]")
    assert len(nodes) == 10
    assert "n3" in nodes
    assert str(nodes - ["n1", "n4"]) == "n[2-3,5-10]"
    assert nodes == NodeSet(reversed(list(nodes)))
    assert not NodeSet()
    assert list(NodeSet(["n10", "n2"])) == ["n2", "n10"]
