"""Which connections have to end so that others have room."""

import pytest

from kadeploy_edge.connection_table import (
    GRACE_SECONDS,
    MOST_REFUSALS,
    QUIET_SECONDS,
    REFUSALS_SECONDS,
    ConnectionTable,
)
from kadeploy_edge.own_sockets import OpenConnection, Peer, peer_of_call


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def connections(count: int, *, host: str = "192.0.2.1", first: int = 1) -> list[OpenConnection]:
    numbers = range(first, first + count)
    return [OpenConnection(file=number, inode=number, peer=Peer(host=host, port=number)) for number in numbers]


def test_few_connections_stand(clock: Clock) -> None:
    table = ConnectionTable(most=10, most_per_address=5, clock=clock)
    assert table.superfluous(connections(5)) == []


def test_of_one_address_those_end_that_never_called_and_the_oldest_first(clock: Clock) -> None:
    table = ConnectionTable(most=100, most_per_address=3, clock=clock)
    every = connections(6)
    table.superfluous(every[:3])
    clock.now += 1
    table.began(every[0].peer)
    table.ended(every[0].peer)
    table.began(every[1].peer)
    clock.now += 1
    assert table.superfluous(every) == [every[2], every[3], every[4]]


def test_a_connection_that_called_is_worth_more_than_one_that_just_came(clock: Clock) -> None:
    table = ConnectionTable(most=100, most_per_address=1, clock=clock)
    known, new = connections(2)
    table.began(known.peer)
    table.ended(known.peer)
    clock.now += 60
    assert table.superfluous([known, new]) == [new]


def test_other_addresses_pay_nothing(clock: Clock) -> None:
    table = ConnectionTable(most=100, most_per_address=2, clock=clock)
    many, few = connections(4), connections(2, host="192.0.2.2", first=11)
    assert {one.peer.host for one in table.superfluous([*many, *few])} == {"192.0.2.1"}


def test_when_all_are_too_many_the_idle_ones_of_the_address_with_most_end(clock: Clock) -> None:
    table = ConnectionTable(most=6, most_per_address=100, clock=clock)
    many, few = connections(6), connections(2, host="192.0.2.2", first=11)
    table.began(many[0].peer)
    assert table.superfluous([*many, *few]) == [many[1], many[2]]
    busy = connections(8, host="192.0.2.3", first=21)
    for one in busy:
        table.began(one.peer)
    assert table.superfluous(busy) == []


def test_who_is_refused_too_often_loses_the_connection_a_moment_later(clock: Clock) -> None:
    table = ConnectionTable(most=10, most_per_address=10, clock=clock)
    (one,) = connections(1)
    for _ in range(MOST_REFUSALS):
        table.refused(one.peer)
    clock.now += REFUSALS_SECONDS + 1
    table.refused(one.peer)
    clock.now += GRACE_SECONDS
    assert table.superfluous([one]) == []
    for _ in range(MOST_REFUSALS):
        table.refused(one.peer)
    assert table.superfluous([one]) == []
    clock.now += GRACE_SECONDS
    assert table.superfluous([one]) == [one]


def test_who_is_not_heard_loses_the_connection_when_they_are_quiet(clock: Clock) -> None:
    table = ConnectionTable(most=10, most_per_address=10, clock=clock)
    (one,) = connections(1)
    for _ in range(MOST_REFUSALS // 2):
        table.not_heard(one.peer)
        clock.now += QUIET_SECONDS / 10
        assert table.superfluous([one]) == []
    clock.now += QUIET_SECONDS
    assert table.superfluous([one]) == [one]


def test_who_is_not_heard_and_calls_on_loses_it_all_the_same(clock: Clock) -> None:
    table = ConnectionTable(most=10, most_per_address=10, clock=clock)
    (one,) = connections(1)
    for _ in range(MOST_REFUSALS + 1):
        table.not_heard(one.peer)
    clock.now += GRACE_SECONDS
    assert table.superfluous([one]) == [one]


def test_a_port_that_is_used_again_is_another_connection(clock: Clock) -> None:
    table = ConnectionTable(most=10, most_per_address=10, clock=clock)
    (one,) = connections(1)
    table.began(one.peer)
    table.end(one.peer)
    clock.now += GRACE_SECONDS
    assert table.superfluous([one]) == [one]
    table.ended(one.peer)
    assert table.superfluous([one]) == []


def test_closed_connections_are_forgotten(clock: Clock) -> None:
    table = ConnectionTable(most=10, most_per_address=10, clock=clock)
    table.superfluous(connections(5))
    clock.now += 3600
    table.superfluous([])
    assert not table._known


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("ipv4:192.0.2.1:4711", "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:4711", "2001:db8::/64"),
        ("ipv6:[::ffff:192.0.2.1]:4711", "192.0.2.1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4711", "fe80::/64"),
    ],
)
def test_an_address_is_an_ipv4_address_or_a_network_of_ipv6(text: str, site: str) -> None:
    peer = peer_of_call(text)
    assert peer is not None
    assert (peer.site, peer.port) == (site, 4711)


@pytest.mark.parametrize("text", ["unix:", "unix:/run/s", "", "ipv4:nothing"])
def test_a_socket_is_no_address(text: str) -> None:
    assert peer_of_call(text) is None
