"""A share for each caller: at most so many of one caller's things go on at once, and the others of theirs wait."""

import asyncio
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Share:
    taken: int = 0
    waiting: deque["asyncio.Future[None]"] = field(default_factory=deque)


class FairShare:
    """Who has too much under way waits for their own things, in order, and nobody else waits for them."""

    def __init__(self) -> None:
        self._shares: dict[str, _Share] = {}

    async def take(self, caller: str, *, most: int) -> None:
        """Waits until the caller has less than `most` under way, and counts one more; it is to be given back."""
        share = self._shares.setdefault(caller, _Share())
        if share.taken < most:
            share.taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        share.waiting.append(turn)
        try:
            # Whoever gives back hands over: nothing is counted here.
            await turn
        except asyncio.CancelledError:
            # A turn that is cancelled is passed over; one that had come is handed on.
            if not turn.cancelled():
                self.give_back(caller)
            raise

    def give_back(self, caller: str) -> None:
        """Counts one less, or hands it over to whoever waits; once for each that was taken."""
        share = self._shares[caller]
        while share.waiting:
            turn = share.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        share.taken -= 1
        if not share.taken:
            del self._shares[caller]
