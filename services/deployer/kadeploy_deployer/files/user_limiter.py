"""Limits concurrent work, in all and per user, so that no user can keep the others waiting."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class UserLimiter:
    """Grants slots in the order of the requests.

    A request waits for one of its user's slots first. So each user has only a few requests in the common queue.

    Args of the constructor:
        in_all: the number of slots.
        per_user: how many of them one user may have.
    """

    def __init__(self, *, in_all: int, per_user: int) -> None:
        self._all = asyncio.Semaphore(in_all)
        self._per_user = per_user
        self._own: dict[str, asyncio.Semaphore] = {}
        self._requests: dict[str, int] = {}

    async def acquire(self, user: str) -> Callable[[], None]:
        """Waits for a slot. Returns the function that releases it; call it once, in the event loop."""
        own = self._own.setdefault(user, asyncio.Semaphore(self._per_user))
        self._requests[user] = self._requests.get(user, 0) + 1
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

        def release() -> None:
            self._all.release()
            own.release()
            self._forget(user)

        return release

    @asynccontextmanager
    async def slot(self, user: str) -> AsyncIterator[None]:
        """Holds a slot."""
        release = await self.acquire(user)
        try:
            yield
        finally:
            release()

    def _forget(self, user: str) -> None:
        self._requests[user] -= 1
        if not self._requests[user]:
            del self._requests[user], self._own[user]
