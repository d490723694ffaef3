"""The condition for the page that follows a row: keyset paging in plain SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, or_


def follows(columns: Sequence[tuple[ColumnElement[Any], bool]], key: Sequence[str | int]) -> ColumnElement[bool]:
    """Returns the condition for rows after a sort key.

    Args:
        columns: what the list is sorted by, each with True where it descends.
        key: the values of the last row given.
    """
    alternatives = []
    for index, (column, descending) in enumerate(columns):
        same = [earlier == value for (earlier, _), value in zip(columns[:index], key, strict=False)]
        beyond = column < key[index] if descending else column > key[index]
        alternatives.append(and_(*same, beyond))
    return or_(*alternatives)
