"""A page of a list is bounded in rows and in bytes, so that no row, however large, makes a list fail."""

from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.message import Message

LARGEST_PAGE_BYTES = 4 << 20
"""Clients take messages of 64 MiB, and the largest row that the bounds of requests allow has some MiB."""

MessageT = TypeVar("MessageT", bound=Message)


def filled_page(rows: Iterable[MessageT], *, limit: int) -> list[MessageT]:
    """Returns the first rows: at most `limit`, and no more than LARGEST_PAGE_BYTES; the first one in any case.

    Whoever has read one row more than `limit` knows by the length of the result whether rows follow.
    """
    page: list[MessageT] = []
    room = LARGEST_PAGE_BYTES
    for row in rows:
        room -= row.ByteSize()
        if page and (len(page) == limit or room < 0):
            break
        page.append(row)
    return page
