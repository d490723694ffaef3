"""Bounds work in all and per user, so that nobody keeps the others from theirs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class FairShare:
    """Gives places, in the order in which they are asked for.

    A user waits for a place of their own first, so that they stand in the common queue with few requests at a time.

    Args of the constructor:
        in_all: how many places there are.
        per_user: how many of them one user may have.
    """

    def __init__(self, *, in_all: int, per_user: int) -> None:
        self._all = asyncio.Semaphore(in_all)
        self._per_user = per_user
        self._own: dict[str, asyncio.Semaphore] = {}
        self._asking: dict[str, int] = {}

    async def take(self, user: str) -> Callable[[], None]:
        """Waits for a place and returns what gives it back, to be called once, in the event loop."""
        own = self._own.setdefault(user, asyncio.Semaphore(self._per_user))
        self._asking[user] = self._asking.get(user, 0) + 1
        try:
            await own.acquire()
            try:
                await self._all.acquire()
            except BaseException:
                own.release()
                raise
        except BaseException:
            self._forget(user)
            raise

        def give_back() -> None:
            self._all.release()
            own.release()
            self._forget(user)

        return give_back

    @asynccontextmanager
    async def place(self, user: str) -> AsyncIterator[None]:
        """Holds a place."""
        give_back = await self.take(user)
        try:
            yield
        finally:
            give_back()

    def _forget(self, user: str) -> None:
        self._asking[user] -= 1
        if not self._asking[user]:
            del self._asking[user], self._own[user]
