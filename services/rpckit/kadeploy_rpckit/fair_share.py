"""A share for each caller: at most so many of one caller's things go on at once, and the others of theirs wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Share:
    semaphore: asyncio.Semaphore
    users: int = field(default=0)


class FairShare:
    """Who has too much under way waits for their own things, and nobody else waits for them."""

    def __init__(self) -> None:
        self._shares: dict[str, _Share] = {}

    async def take(self, caller: str, *, most: int) -> None:
        """Waits until the caller has less than `most` under way, and counts one more; give it back."""
        share = self._shares.get(caller)
        if share is None:
            share = self._shares[caller] = _Share(asyncio.Semaphore(most))
        share.users += 1
        try:
            await share.semaphore.acquire()
        except asyncio.CancelledError:
            self._forget(caller, share)
            raise

    def give_back(self, caller: str) -> None:
        """Counts one less; once for each that was taken."""
        share = self._shares[caller]
        share.semaphore.release()
        self._forget(caller, share)

    @asynccontextmanager
    async def held(self, caller: str, *, most: int) -> AsyncIterator[None]:
        """Takes, and gives back at the end of the block."""
        await self.take(caller, most=most)
        try:
            yield
        finally:
            self.give_back(caller)

    def _forget(self, caller: str, share: _Share) -> None:
        share.users -= 1
        if not share.users:
            del self._shares[caller]
