"""Short names of nodes, and patterns for their management controllers."""

import pytest

from kadeploy_inventory.domain.bmc_pattern import filled, parse_pattern
from kadeploy_inventory.domain.command_template import parse_argument
from kadeploy_inventory.domain.found_names import MOST, found_names

NODES = {
    "node-1.a.example.org": "10.0.0.1",
    "node-1.b.example.org": "10.0.1.1",
    "node-10.a.example.org": "10.0.0.10",
    "node-2": "10.0.0.2",
    "node-2.a.example.org": "10.0.0.3",
}


@pytest.mark.parametrize(
    ("word", "domain", "expected"),
    [
        ("node-2", "", None),
        ("node-2", "a.example.org", None),
        ("node-10", "", ["node-10.a.example.org"]),
        ("node-1", "", ["node-1.a.example.org", "node-1.b.example.org"]),
        ("node-1", "b.example.org", ["node-1.b.example.org"]),
        ("node-1.a", "", ["node-1.a.example.org"]),
        ("10.0.1.1", "", ["node-1.b.example.org"]),
        ("node", "", None),
        ("node-3", "a.example.org", None),
    ],
)
def test_a_word_fits_the_nodes_whose_names_begin_with_its_labels(
    word: str, domain: str, expected: list[str] | None
) -> None:
    assert found_names([word], NODES, domain=domain).get(word) == expected


def test_not_all_names_are_told_of_a_word_that_fits_many() -> None:
    many = {f"gpu.rack-{number}.example.org": str(number) for number in range(100)}
    assert len(found_names(["gpu"], many, domain="")["gpu"]) == MOST


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("", "node-1", "node-1-bmc"),
        ("", "node-1.site.example.org", "node-1-bmc.site.example.org"),
        ("{node_short}-ipmi.{domain}:6230", "node-1.site.example.org", "node-1-ipmi.site.example.org:6230"),
        ("{name}.mgmt", "node-1", "node-1.mgmt"),
        ("{cluster}-{node_short}", "n1.x", "big-n1"),
    ],
)
def test_a_pattern_makes_the_address_of_each_controller(pattern: str, name: str, expected: str) -> None:
    assert parse_pattern(pattern) == pattern
    assert filled(pattern, name=name, cluster="big") == expected


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("{ip}", "names {ip}, but only"),
        ("bmc", "is the same for all nodes"),
        ("{name} x", "no host name"),
        ("{name}{", "has a brace without"),
    ],
)
def test_what_makes_no_address_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_pattern(pattern)


@pytest.mark.parametrize("argument", ["-m {node_short}", "{short}", "{node_short}.x"])
def test_commands_name_nodes_in_short(argument: str) -> None:
    assert parse_argument(argument) == argument
