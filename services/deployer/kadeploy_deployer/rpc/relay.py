"""From work that runs in a task of its own to the stream of answers that a caller reads.

However the call ends (the caller hangs up, the service stops) the task is cancelled, and with it goes
everything that the work holds: locks, sessions, processes.
"""

from __future__ import annotations  # grpc's contexts are generic for type checkers alone

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

import grpc

FEW_PENDING_BYTES = 64 * 1024
SMALL = 64
ACCEPTED = ("kadeploy-accepted", "yes")
"""Stands in the first metadata of an answer that may take long."""

_Item = TypeVar("_Item")


async def accept(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """Lets the caller know at once that his request is here: if the answer is lost, it is worth asking again."""
    await context.send_initial_metadata((ACCEPTED,))


class Relay(Generic[_Item]):
    """Answers on their way from the work to the caller."""

    def __init__(self) -> None:
        self._items: deque[tuple[_Item, int]] = deque()
        self._pending = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    def push(self, item: _Item) -> None:
        """Adds an answer at once; for those of which there are not more than nodes."""
        self._add(item, SMALL)

    async def send(self, item: _Item, *, size: int) -> None:
        """Adds an answer as soon as the caller has read most of what came before."""
        while self._pending > FEW_PENDING_BYTES:
            self._room.clear()
            await self._room.wait()
        self._add(item, size)

    async def run(
        self, work: Callable[[], Awaitable[None]], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[_Item]:
        """Does the work and yields its answers until it ends; raises what it raises."""
        task = asyncio.ensure_future(work())
        task.add_done_callback(lambda _: self._changed.set())

        def stop(_context: Any) -> None:
            task.cancel()

        # The generator is not always told that nobody wants its answers any more; the context is.
        context.add_done_callback(stop)  # type: ignore[arg-type]  # the stubs want a class of their own
        try:
            while True:
                while self._items:
                    yield self._take()
                if task.done():
                    break
                self._changed.clear()
                if not self._items:
                    await self._changed.wait()
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _add(self, item: _Item, size: int) -> None:
        self._items.append((item, size))
        self._pending += size
        self._changed.set()

    def _take(self) -> _Item:
        item, size = self._items.popleft()
        self._pending -= size
        self._room.set()
        return item
