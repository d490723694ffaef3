"""One call for all who want the same at the same time: the first makes it, the others get its answer too."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Answer = TypeVar("_Answer")


class SharedCalls(Generic[_Key, _Answer]):
    """Keeps good answers by key. A call that failed is made again by the next who asks.

    A caller that is cancelled leaves the call to the others.
    """

    def __init__(self) -> None:
        self._calls: dict[_Key, asyncio.Task[_Answer]] = {}

    async def get(self, key: _Key, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Returns the answer, or raises what the call raised."""
        task = self._calls.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._calls[key] = asyncio.create_task(_made(call))
            # Whoever asked may be cancelled before the answer comes, and then nobody looks at it.
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return await asyncio.shield(task)

    def forget(self) -> None:
        """Drops the answers: the next who ask make their calls anew."""
        self._calls = {key: task for key, task in self._calls.items() if not task.done()}

    async def close(self) -> None:
        """Ends the calls that are under way."""
        tasks = list(self._calls.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _made(call: Callable[[], Awaitable[_Answer]]) -> _Answer:
    return await call()
