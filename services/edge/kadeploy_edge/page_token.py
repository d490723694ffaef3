"""Opaque tokens for lists: where the next page begins, bound to the filter that the first page had.

A token carries the sort key of the last row (keyset paging), so rows that come or go between pages are neither
doubled nor lost. A token of another list or filter, or one that was touched, is refused.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence

from kadeploy_edge.errors import FieldViolation, Invalid

DEFAULT_PAGE_SIZE = 50
MAXIMUM_PAGE_SIZE = 500


class InvalidPageToken(Invalid):
    """The page token was not made by this list with this filter."""

    reason = "INVALID_PAGE_TOKEN"


class InvalidPageSize(Invalid):
    """The page size is negative."""

    reason = "INVALID_PAGE_SIZE"


def page_size(wanted: int) -> int:
    """Returns the rows of a page: 50 for 0, at most 500; a negative size raises InvalidPageSize."""
    if wanted < 0:
        violation = FieldViolation(field="page_size", description="must not be negative")
        raise InvalidPageSize(
            f"page_size {wanted} is negative",
            metadata={"page_size": str(wanted)},
            violations=(violation,),
        )
    return min(wanted or DEFAULT_PAGE_SIZE, MAXIMUM_PAGE_SIZE)


def _checksum(key: Sequence[str | int], binding: str) -> str:
    return hashlib.sha256(json.dumps([list(key), binding]).encode()).hexdigest()[:16]


def encode(key: Sequence[str | int], *, binding: str) -> str:
    """Returns the token for "after the row with this sort key".

    Args:
        key: the sort key of the last row that was given.
        binding: what the token belongs to: the list's name and the filter, as text.
    """
    body = json.dumps({"key": list(key), "sum": _checksum(key, binding)})
    return base64.urlsafe_b64encode(body.encode()).decode()


def decode(token: str, *, binding: str) -> tuple[str | int, ...] | None:
    """Returns the sort key to start after, None for the first page, or raises InvalidPageToken."""
    if not token:
        return None
    try:
        body = json.loads(base64.urlsafe_b64decode(token.encode("ascii")))
        key, checksum = tuple(body["key"]), body["sum"]
        valid = checksum == _checksum(key, binding)
    except (ValueError, KeyError, TypeError, binascii.Error):
        valid = False
    if not valid:
        violation = FieldViolation(field="page_token", description="begin again without a token")
        raise InvalidPageToken("the page token is not one of this list with this filter", violations=(violation,))
    return key
