"""From the text of a node set to names."""

import pytest
from ClusterShell.NodeSet import RESOLVER_NOGROUP
from ClusterShell.NodeSet import NodeSet as ShellNodeSet
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_nodeset import MAXIMUM_NODES, MAXIMUM_TEXT, NodeSetError, expand, expansion, fold, natural_order
from kadeploy_nodeset.grammar import LONGEST_NAME, MOST_BRACKETS, read_terms

WORDS = st.from_regex(r"[a-z]{1,3}-?", fullmatch=True)
NUMBERS = st.integers(0, 40)


@st.composite
def ranges(draw: st.DrawFn) -> str:
    first, size, width = draw(NUMBERS), draw(st.integers(0, 12)), draw(st.sampled_from([0, 0, 3]))
    step = draw(st.sampled_from(["", "", "", "/2", "/3"])) if size else ""
    last = f"-{first + size:0{width}d}" if size else ""
    return f"{first:0{width}d}{last}{step}"


@st.composite
def terms(draw: st.DrawFn) -> str:
    """A member of a set with up to two brackets, none of them beside a digit."""
    text = draw(WORDS)
    for _ in range(draw(st.integers(0, 2))):
        bracket = ",".join(draw(st.lists(ranges(), min_size=1, max_size=3)))
        text += draw(st.sampled_from([f"[{bracket}]", f"{draw(NUMBERS)}"])) + draw(WORDS)
    return text


@st.composite
def node_sets(draw: st.DrawFn) -> str:
    text = draw(terms())
    for each in draw(st.lists(terms(), max_size=4)):
        text += draw(st.sampled_from([",", ",", ", ", " , ", "!", "&", "^"])) + each
    return text


def by_cluster_shell(text: str) -> list[str]:
    return sorted(ShellNodeSet(text, resolver=RESOLVER_NOGROUP), key=natural_order)


@given(node_sets())
def test_an_ordinary_set_has_the_names_that_clustershell_gives_it(text: str) -> None:
    expected = by_cluster_shell(text)
    if not expected:
        with pytest.raises(NodeSetError, match="after its operators"):
            expand(text)
    else:
        assert list(expand(text)) == expected


@given(st.lists(st.from_regex(r"[a-z]{1,2}(-?[0-9]{1,2}){0,3}[a-z]?", fullmatch=True), min_size=1, max_size=40))
def test_any_names_are_folded_and_expanded_again(names: list[str]) -> None:
    assert list(expand(fold(names))) == sorted(set(names), key=natural_order)


@given(st.text(alphabet="an10-9,[]!&^@*?/. \t\n\u2028_\x00%é", max_size=40))
def test_any_text_is_a_set_or_refused_with_the_place_that_is_wrong(text: str) -> None:
    try:
        names = expand(text, most=1000)
    except NodeSetError as error:
        assert error.problem  # noqa: PT017 - both ways are right
        assert 0 <= error.position <= len(text) + 1  # noqa: PT017
        assert str(error).isprintable()  # noqa: PT017
    else:
        assert list(names) == by_cluster_shell(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("node-1", ["node-1"]),
        ("n[08-10,1],gpu3", ["gpu3", "n1", "n08", "n09", "n10"]),
        ("n[0-10/5]", ["n0", "n5", "n10"]),
        ("r[1-2]-n[1-2]", ["r1-n1", "r1-n2", "r2-n1", "r2-n2"]),
        ("node0[1-2]", ["node01", "node02"]),
        ("n[8-10]0", ["n80", "n90", "n100"]),
        ("[1-2].example.org", ["1.example.org", "2.example.org"]),
        (" n1 ,\tn2 ", ["n1", "n2"]),
        ("n[1-5]!n[2-4],n3", ["n1", "n3", "n5"]),
        ("n[1-3]&n[2-9]", ["n2", "n3"]),
        ("n[1-3]^n[2-4]", ["n1", "n4"]),
        ("n[01,1],n1", ["n01", "n1"]),
    ],
)
def test_a_set_has_its_names_in_natural_order(text: str, names: list[str]) -> None:
    assert list(expand(text)) == names


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("", 0, "must name at least one node"),
        (" \t", 0, "must name at least one node"),
        ("n1&n2", 0, "names no node after its operators"),
        ("n1,", 4, "expected the name of a node, but the text ends"),
        (",n1", 1, "expected the name of a node, found ','"),
        ("n1,,n2", 4, "expected the name of a node, found ','"),
        ("n1 n2", 4, "expected a \",\" between two nodes, found 'n'"),
        ("n1\nn2", 3, "expected a \",\" between two nodes, found '\\n'"),
        ("n]", 2, "expected a \",\" between two nodes, found ']'"),
        ("-n1", 1, "expected a letter or a digit at the beginning of a name, found '-'"),
        ("é", 1, "expected the name of a node, found '\\xe9'"),
        ("n[", 3, "expected a number, but the text ends"),
        ("n[1-3", 6, 'expected "," or "]", but the text ends'),
        ("n[1- 3]", 4, 'expected "," or "]", found \'-\''),
        ("n[ 1-3]", 3, "expected a number, found ' '"),
        ("n[-5-3]", 3, "expected a number, found '-'"),
        ("n[]", 3, "expected a number, found ']'"),
        ("n[a]", 3, "expected a number, found 'a'"),
        ("n[1][2]", 5, "expected a letter between two brackets, found '['"),
        ("n[3-1]", 3, "3-1 ends before it begins"),
        ("n[1-9/0]", 3, "a step is at least 1"),
        ("n[1-010]", 3, "1-010 has leading zeros, so both bounds must have the same number of digits"),
        ("n1[8-10]", 4, "8-10 follows a digit, so both bounds must have the same number of digits"),
        ("n[1-1000000000000000000]", 3, "a number has at most 18 digits"),
        ("@compute", 1, "groups are not looked up; name their nodes"),
        ("n1,@all", 4, "groups are not looked up; name their nodes"),
        ("n*", 2, "* is a wildcard; name the nodes"),
        ("x".join(["n", *["[1]"] * (MOST_BRACKETS + 1)]), 35, f"a name has at most {MOST_BRACKETS} brackets"),
        ("n" * (LONGEST_NAME + 1), 1, f"a name has at most {LONGEST_NAME} characters"),
        ("n1," + "n" * (LONGEST_NAME - 1) + "[9-10]", 4, f"a name has at most {LONGEST_NAME} characters"),
        ("n" * (MAXIMUM_TEXT + 1), 0, f"is longer than {MAXIMUM_TEXT} characters"),
    ],
)
def test_what_is_no_set_is_refused_with_its_place_and_what_is_expected(text: str, position: int, problem: str) -> None:
    with pytest.raises(NodeSetError) as refusal:
        expand(text)
    assert (refusal.value.position, refusal.value.problem) == (position, problem)


@pytest.mark.parametrize(
    "text",
    [
        f"n[1-{MAXIMUM_NODES + 1}]",
        "n[0-999999999999999999]",
        "r[1-1000]-n[1-1000]",
        "a[1-60000],b[1-60000]",
        "a[1-60000]!a[1-60000]",
        ",".join(["n"] * (MAXIMUM_NODES + 1)),
    ],
)
def test_too_many_names_are_refused_before_they_are_made(text: str) -> None:
    with pytest.raises(NodeSetError, match=f"names more than {MAXIMUM_NODES} nodes"):
        expand(text)


def test_a_set_of_the_largest_size_is_expanded_and_folded() -> None:
    names = expand(f"n[1-{MAXIMUM_NODES}]")
    assert len(names) == MAXIMUM_NODES
    assert fold(names) == f"n[1-{MAXIMUM_NODES}]"


@pytest.mark.parametrize("text", ["node[1-100]", "rack[1-3]-node[1-2,7]", "n[0-100/2]", "a[1-9]!a5", "a,b,c"])
def test_what_is_counted_beforehand_is_never_too_little(text: str) -> None:
    assert sum(map(expansion._size, read_terms(text, most=1000))) >= len(expand(text))
