"""What nodes ask the deployer for."""

import pytest

from kadeploy_deployer.broadcast.source_request import (
    NO_BLOCK,
    UNDECIDED,
    Wanted,
    brought_token,
    wanted_by_frames,
    wanted_by_http,
)

TOKEN = b"secret"
GOOD = {"position": 7, "chain": 1, "skipped": ["n1"], "moved": True, "wrong": -2}


def test_a_node_of_a_chain_says_where_it_is_and_whom_it_skips() -> None:
    assert wanted_by_frames(GOOD, 100) == Wanted(position=7, chain=1, skipped=("n1",), moved=True, wrong=NO_BLOCK)


@pytest.mark.parametrize("wrong", [{"position": 100}, {"position": -1}, {"position": "x"}, {"skipped": None}])
def test_what_is_no_request_is_an_error(wrong: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        wanted_by_frames({**GOOD, **wrong}, 100)


def test_http_brings_the_token_and_a_range() -> None:
    head = b"GET /stream HTTP/1.1\r\nAuthorization: Bearer secret\r\nRange: bytes=42-\r\nX-Wrong: 3"
    assert wanted_by_http(head, TOKEN, 100) == Wanted(position=42, wrong=3)


@pytest.mark.parametrize(
    "lines",
    [b"", b"Authorization: Bearer other", b"Authorization: Basic secret",
     b"Authorization: Bearer secret\r\nRange: bytes=1-5", b"Authorization: Bearer secret\r\nRange: bytes=100-"],
)  # fmt: skip
def test_http_without_a_right_or_a_range_is_an_error(lines: bytes) -> None:
    with pytest.raises(ValueError):
        wanted_by_http(b"GET / HTTP/1.1\r\n" + lines, TOKEN, 100)


@pytest.mark.parametrize(
    ("skipped", "asker_moved", "other_moved", "gets_it"),
    [
        (False, False, False, False),
        (True, False, False, True),
        (True, True, False, False),
        (True, True, True, True),
        (False, False, True, True),
        (False, True, True, False),
    ],
)
def test_who_was_passed_takes_the_place_of_its_like_alone(
    skipped: bool, asker_moved: bool, other_moved: bool, gets_it: bool
) -> None:
    wanted = Wanted(position=0, skipped=("n1",) if skipped else (), moved=asker_moved)
    assert wanted.displaces("n1", moved=other_moved) is gets_it


FRAMES = b'kabroadcast/2 secret {"name": "n1"}\n'
HTTP = b"GET /stream HTTP/1.1\r\nAuthorization: Bearer secret\r\nRange: bytes=42-\r\n\r\n"


@pytest.mark.parametrize(("request_bytes", "enough"), [(FRAMES, len(b"kabroadcast/2 secret ")), (HTTP, len(HTTP))])
def test_the_token_is_found_however_the_first_bytes_come(request_bytes: bytes, enough: int) -> None:
    found = [brought_token(request_bytes[:end]) for end in range(1, len(request_bytes) + 1)]
    assert found == [UNDECIDED] * (enough - 1) + [TOKEN] * (len(request_bytes) - enough + 1)


@pytest.mark.parametrize(
    "begun",
    [b"SSH-2.0-OpenSSH", b"kabroadcast/1 secret {", b"kabroadcast/2  {", b"kabroadcast/22 secret {", b"\x16\x03\x01",
     b"POST / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nAuthorization: Basic a\r\n\r\n"],
)  # fmt: skip
def test_who_begins_otherwise_brings_no_token(begun: bytes) -> None:
    assert brought_token(begun) is None
