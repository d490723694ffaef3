"""The connections of this process are found by the port that it listens on, and ended without touching others."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from kadeploy_edge.own_sockets import ConnectionList, OpenConnection, end_connection

pytestmark = pytest.mark.integration


@pytest.fixture(params=["127.0.0.1", "::1"])
def pairs(request: pytest.FixtureRequest) -> Iterator[tuple[int, list[tuple[socket.socket, socket.socket]]]]:
    """A port, and three connections to it: of each the accepted and the other end."""
    host = str(request.param)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server((host, 0), family=family))
        made = []
        for _ in range(3):
            other = stack.enter_context(socket.create_connection(listening.getsockname()[:2]))
            made.append((stack.enter_context(listening.accept()[0]), other))
        yield listening.getsockname()[1], made


def test_they_are_found_with_their_peers_and_no_other_file_is(
    pairs: tuple[int, list[tuple[socket.socket, socket.socket]]],
) -> None:
    port, made = pairs
    connections = ConnectionList(port)
    wanted = {(accepted.fileno(), other.getsockname()[1]) for accepted, other in made}
    for _ in range(2):
        found = connections.read()
        assert {(one.file, one.peer.port) for one in found} == wanted
        assert {one.peer.host for one in found} == {made[0][1].getsockname()[0]}


def test_one_is_ended_for_both_sides_and_the_others_stand(
    pairs: tuple[int, list[tuple[socket.socket, socket.socket]]],
) -> None:
    port, made = pairs
    (accepted, other), (still, another), _ = made
    (found,) = [one for one in ConnectionList(port).read() if one.file == accepted.fileno()]
    end_connection(found)
    assert other.recv(1) == b""
    assert accepted.recv(1) == b""
    another.sendall(b"a")
    assert still.recv(1) == b"a"


def test_a_file_of_the_same_number_that_is_another_one_is_left_alone(
    pairs: tuple[int, list[tuple[socket.socket, socket.socket]]],
) -> None:
    _, made = pairs
    accepted, other = made[0]
    inode = os.fstat(made[1][0].fileno()).st_ino
    found = next(one for one in ConnectionList(pairs[0]).read() if one.file == accepted.fileno())
    end_connection(OpenConnection(file=found.file, inode=inode, peer=found.peer))
    other.sendall(b"a")
    assert accepted.recv(1) == b"a"


def test_a_connection_that_has_ended_is_found_no_more_and_can_be_ended_again(
    pairs: tuple[int, list[tuple[socket.socket, socket.socket]]],
) -> None:
    port, made = pairs
    connections = ConnectionList(port)
    before = connections.read()
    made[0][0].close()
    assert len(connections.read()) == 2
    for one in before:
        end_connection(one)
