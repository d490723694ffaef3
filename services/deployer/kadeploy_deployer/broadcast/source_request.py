"""What a node asks the deployer for, by frames or by HTTP. Pure."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PROTOCOL = b"kabroadcast/2"
UNDECIDED = b""
"""Stands for the token of a request that has not come far enough."""
NO_BLOCK = -2
"""What a node says that complains of no block; the manifest is -1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a node asks for.

    Attributes:
        position: the first byte of the stream.
        chain: the number of the node's chain.
        skipped: nodes that gave it nothing.
        moved: whether others passed it before.
        wrong: the block that it got wrongly from here, NO_BLOCK for none.
    """

    position: int
    chain: int = 0
    skipped: tuple[str, ...] = ()
    moved: bool = False
    wrong: int = NO_BLOCK

    def displaces(self, name: str, *, moved: bool) -> bool:
        """Returns whether the node gets the place of another, which others passed before (`moved`) or did not."""
        return (moved and not self.moved) or (name in self.skipped and (moved or not self.moved))


def wanted_by_frames(request: Mapping[str, Any], total: int) -> Wanted:
    """Returns what a node of a chain asks for, of a stream of so many bytes.

    Raises KeyError, TypeError or ValueError for a request that is none.
    """
    return Wanted(
        position=_valid(int(request["position"]), total),
        chain=int(request["chain"]),
        skipped=tuple(str(name) for name in request["skipped"]),
        moved=bool(request["moved"]),
        wrong=int(request["wrong"]),
    )


def brought_token(begun: bytes) -> bytes | None:
    """Returns the token in the first bytes of a connection, UNDECIDED when more have to come, None for no request."""
    if begun.startswith(b"GET "):
        head, end, _ = begun.partition(b"\r\n\r\n")
        return _bearer(head) or None if end else UNDECIDED
    protocol, _, rest = begun.partition(b" ")
    if not (PROTOCOL + b" ").startswith(begun[: len(PROTOCOL) + 1]) and protocol != PROTOCOL:
        # "GET " may come in pieces, too.
        return UNDECIDED if b"GET ".startswith(begun) else None
    token, end, _ = rest.partition(b" ")
    return token or None if end else UNDECIDED


def wanted_by_http(head: bytes, token: bytes, total: int) -> Wanted:
    """Returns what a GET asks for, without its last empty line. Raises ValueError; also when the token is another."""
    headers = _headers(head)
    if not hmac.compare_digest(_bearer(head), token):
        raise ValueError("the request has no right")
    unit, _, span = headers.get("range", "bytes=0-").partition("=")
    if unit != "bytes" or not span.endswith("-"):
        raise ValueError("a range of bytes up to the end is wanted")
    position = _valid(int(span.removesuffix("-")), total)
    return Wanted(position=position, wrong=int(headers.get("x-wrong", NO_BLOCK)))


def _headers(head: bytes) -> dict[str, str]:
    _, *lines = head.decode("latin-1").split("\r\n")
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _bearer(head: bytes) -> bytes:
    """Returns the token of a GET, empty if it brings none."""
    kind, _, brought = _headers(head).get("authorization", "").partition(" ")
    return brought.encode("latin-1") if kind == "Bearer" else b""


def _valid(position: int, total: int) -> int:
    if not 0 <= position < total:
        raise ValueError("there is no such position")
    return position
