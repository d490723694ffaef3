"""Many small writes in few transactions: what comes while one is under way waits, and shares the next."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class WriteBatcher(Generic[_Item]):
    """Writes items in the order in which they come; a thousand at once cost a few transactions, not a thousand."""

    def __init__(self, write: Callable[[list[_Item]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[_Item] = []
        self._written: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    async def add(self, item: _Item) -> None:
        """Returns when the item is written, or raises what its writing raised."""
        self._waiting.append(item)
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
            # Nobody may be left to look at it when the work is cancelled.
            self._written.add_done_callback(lambda future: future.cancelled() or future.exception())
        written = self._written
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        await asyncio.shield(written)

    async def flush(self) -> None:
        """Waits for items whose writers do not wait any more."""
        if self._writer is not None:
            await self._writer

    async def _write_all(self) -> None:
        while self._written is not None:
            items, written = self._waiting, self._written
            self._waiting, self._written = [], None
            try:
                await self._write(items)
            except Exception as error:  # noqa: BLE001 - whoever waits for these items gets it
                written.set_exception(error)
            else:
                written.set_result(None)
