"""What is dropped of the past.

Each method is one transaction.
"""

from typing import Protocol


class HistoryStore(Protocol):
    """The past, which must not grow for ever."""

    async def prune_one(self, *, before: float) -> bool:
        """Drops events and outputs of one deployment that ended before a time; returns whether there was one."""
        ...

    async def drop_operations(self, *, before: float) -> bool:
        """Drops some operations, not deployments, that ended before a time; returns whether there were any."""
        ...
