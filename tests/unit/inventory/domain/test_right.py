"""Who may do what where: wildcards, the site's own partitions, expiry."""

from datetime import UTC, datetime, timedelta

import pytest

from kadeploy_inventory.domain.errors import InvalidRight
from kadeploy_inventory.domain.right import Granted, Right, check_words

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def right(user: str = "alice", node: str = "n1", partition: str = "sda3") -> Right:
    return Right(user=user, node=node, partition=partition)


@pytest.mark.parametrize("granted", [right(), right("*"), right(node="*"), right(partition="*"), right("*", "*", "*")])
def test_each_word_of_a_right_may_be_the_wildcard(granted: Right) -> None:
    assert Granted([granted], user="alice").allows("n1", "sda3")


@pytest.mark.parametrize("granted", [right("bob"), right(node="n10"), right(partition="sda30")])
def test_another_word_allows_nothing(granted: Right) -> None:
    assert not Granted([granted], user="alice").allows("n1", "sda3")


def test_any_right_on_the_node_will_do_when_no_partition_is_named() -> None:
    assert Granted([right()], user="alice").allows("n1", "")
    assert not Granted([right(node="n2")], user="alice").allows("n1", "")


def test_the_site_s_own_system_is_opened_by_no_wildcard() -> None:
    def opened(granted: Right) -> bool:
        return Granted([granted], user="alice").allows("n1", "sda3", is_production=True)

    assert not opened(right(partition="*"))
    assert opened(right())
    assert opened(right("*", "*", "sda3"))


@pytest.mark.parametrize(("after", "expired"), [(-1, True), (0, True), (1, False)])
def test_a_right_is_gone_when_its_time_comes(after: int, expired: bool) -> None:
    granted = Right(user="a", node="n", partition="*", expire_time=NOW + timedelta(seconds=after))
    assert granted.is_expired(NOW) is expired
    assert not right().is_expired(NOW)


def test_the_partitions_that_rights_name_are_known_node_by_node() -> None:
    rights = [right(), right("*"), right(node="*", partition="*"), right("bob", partition="sdb1"), right(node="n2")]
    assert Granted(rights, user="alice").partitions("n1") == {"*", "sda3"}


def test_words_that_are_no_users_or_partitions_are_refused_by_their_place() -> None:
    with pytest.raises(InvalidRight) as refusal:
        check_words(["alice", "a b"], ["sda"])
    assert [each.field for each in refusal.value.violations] == ["users[1]", "partitions[0]"]
