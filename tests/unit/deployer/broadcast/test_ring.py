"""The nodes' memory of the last blocks: who may hold it up, and for how long."""

import socket
import threading

import pytest

from kabroadcast.ring import Reader, Ring


def block(number: int) -> bytearray:
    return bytearray([number])


@pytest.fixture
def ring() -> Ring:
    ring = Ring(4, 0.05)
    for number in range(4):
        ring.add(block(number))
    return ring


def test_it_keeps_the_last_blocks_and_forgets_the_others(ring: Ring) -> None:
    ring.add(block(4))
    assert list(ring.blocks) == [1, 2, 3, 4]
    assert not ring.join(Reader(0, "late"))
    assert ring.join(Reader(1, "in time"))


def test_a_reader_may_wait_for_what_did_not_come_yet(ring: Ring) -> None:
    early = Reader(4, "early")
    assert ring.join(early)
    assert ring.wait(early, 0.01) is None
    ring.add(block(4))
    assert ring.wait(early, 0.01) == block(4)


def test_its_own_sink_is_waited_for_and_that_shows(ring: Ring) -> None:
    sink = Reader(0, "sink")
    ring.join(sink)
    adding = threading.Thread(target=ring.add, args=(block(4),), daemon=True)
    adding.start()
    with ring.changed:
        assert ring.changed.wait_for(lambda: ring.held, 5)
    assert ring.head == 4
    ring.advance(sink)
    adding.join(5)
    assert ring.head == 5
    ring.advance(sink)
    ring.add(block(5))
    assert not ring.held


def test_a_node_that_holds_up_an_idle_sink_is_dropped(ring: Ring) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ring.join(Reader(4, "sink"))
        ring.join(Reader(0, "n2", ours))
        ring.add(block(4))
        assert ring.dropped == {"n2"}
        assert theirs.recv(1) == b""


def test_a_node_that_harms_nobody_is_not_dropped(ring: Ring) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sink, node = Reader(0, "sink"), Reader(0, "n2", ours)
        ring.join(sink)
        ring.join(node)
        adding = threading.Thread(target=ring.add, args=(block(4),), daemon=True)
        adding.start()
        adding.join(0.5)
        assert ring.head == 4
        assert ring.dropped == set()
        ring.advance(node)
        ring.advance(sink)
        adding.join(5)
        assert ring.head == 5
