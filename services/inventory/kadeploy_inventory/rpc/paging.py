"""Cuts a list into pages."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from kadeploy_edge import page_token
from kadeploy_edge.page import filled_page
from kadeploy_inventory.app.ports import Key

ItemT = TypeVar("ItemT")
MessageT = TypeVar("MessageT", bound=Message)
LARGEST_PORTION = page_token.MAXIMUM_PAGE_SIZE + 1


def cut(
    read: Callable[[Key | None, int], Sequence[ItemT]],
    *,
    size: int,
    token: str,
    binding: str,
    key: Callable[[ItemT], Key],
    message: Callable[[ItemT], MessageT],
    portion: int = LARGEST_PORTION,
) -> tuple[list[MessageT], str]:
    """Returns a page, bounded in rows and bytes, and the token of the next one, empty at the end.

    Args:
        read: returns at most so many items after a sort key.
        size: the page size of the request.
        token: the page token of the request.
        binding: the list and its filter, which the token belongs to.
        key: returns the sort key of an item.
        message: returns the message of an item.
        portion: how many items are read at once, where they may be long.
    """
    limit = page_token.page_size(size)
    after = page_token.decode(token, binding=binding)
    items: list[ItemT] = []

    def messages() -> Iterator[MessageT]:
        count = min(limit + 1, portion)
        while True:
            some = read(key(items[-1]) if items else after, count)
            for item in some:
                items.append(item)
                yield message(item)
            if len(some) < count:
                return

    page = filled_page(messages(), limit=limit)
    if len(page) == len(items):
        return page, ""
    return page, page_token.encode(key(items[len(page) - 1]), binding=binding)
