"""Cuts a list into pages."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from kadeploy_edge import page_token
from kadeploy_inventory.app.ports import Key

ItemT = TypeVar("ItemT")


def cut(
    read: Callable[[Key | None, int], Sequence[ItemT]],
    *,
    size: int,
    token: str,
    binding: str,
    key: Callable[[ItemT], Key],
) -> tuple[Sequence[ItemT], str]:
    """Returns a page and the token of the next one, empty at the end.

    Args:
        read: returns at most so many items after a sort key.
        size: the page size of the request.
        token: the page token of the request.
        binding: the list and its filter, which the token belongs to.
        key: returns the sort key of an item.
    """
    limit = page_token.page_size(size)
    items = read(page_token.decode(token, binding=binding), limit + 1)
    if len(items) <= limit:
        return items, ""
    return items[:limit], page_token.encode(key(items[limit - 1]), binding=binding)
