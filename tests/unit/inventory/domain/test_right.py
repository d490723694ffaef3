"""Who may do what where: wildcards, the site's own partitions, expiry."""

import pytest

from kadeploy_inventory.domain.errors import InvalidRight
from kadeploy_inventory.domain.right import Granted, check_words


@pytest.mark.parametrize("right", [("n1", "sda3"), ("*", "sda3"), ("n1", "*"), ("*", "*")])
def test_each_word_of_a_right_may_be_the_wildcard(right: tuple[str, str]) -> None:
    assert Granted([right]).allows("n1", "sda3")


@pytest.mark.parametrize("right", [("n10", "sda3"), ("n1", "sda30")])
def test_another_word_allows_nothing(right: tuple[str, str]) -> None:
    assert not Granted([right]).allows("n1", "sda3")


def test_any_right_on_the_node_will_do_when_no_partition_is_named() -> None:
    assert Granted([("n1", "sda3")]).allows("n1", "")
    assert Granted([("*", "sda3")]).allows("n1", "")
    assert not Granted([("n2", "sda3")]).allows("n1", "")


@pytest.mark.parametrize(
    ("right", "opens"),
    [(("n1", "*"), False), (("*", "*"), False), (("n1", "sda3"), True), (("*", "sda3"), True)],
)
def test_the_site_s_own_system_is_opened_by_no_wildcard(right: tuple[str, str], opens: bool) -> None:
    assert Granted([right]).allows("n1", "sda3", is_production=True) is opens


def test_the_partitions_that_rights_name_are_known_node_by_node() -> None:
    granted = Granted([("n1", "sda3"), ("*", "*"), ("n2", "sdb1")])
    assert granted.partitions("n1") == {"*", "sda3"}
    assert granted.partitions("n3") == {"*"}


def test_words_that_are_no_users_or_partitions_are_refused_by_their_place() -> None:
    with pytest.raises(InvalidRight) as refusal:
        check_words(["alice", "a b"], ["sda"])
    assert [each.field for each in refusal.value.violations] == ["users[1]", "partitions[0]"]
