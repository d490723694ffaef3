"""Drops what nobody will ask for any more, so that the database does not grow for ever.

What is old is judged by the database's clock, which may jump. So nothing is dropped before that clock has run evenly
from one look to the next: one that is wrong for less than an hour drops nothing before its time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kadeploy_deployer.domain.errors import StoreFailed
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.history_store import HistoryStore

LOOK_SECONDS = 3600.0
PAUSE_SECONDS = 1.0
"""Between two drops: whoever deploys now comes first."""
STOP_SECONDS = 10.0
DAY = 24 * 3600.0
JUMP_SECONDS = 60.0
"""So far a clock may be put right without having been wrong."""

logger = logging.getLogger(__name__)


class HistoryPruner:
    """Looks once an hour for events and outputs of deployments, and for operations, that are too old to be kept.

    Args:
        store: where they are.
        clock: time.
        days: how long events and outputs are kept after a deployment's end, and operations after theirs, these for at
            least a day, so that they can be asked for again; 0: for ever.
    """

    def __init__(self, *, store: HistoryStore, clock: Clock, days: float) -> None:
        self._store = store
        self._clock = clock
        self._days = days
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._prune_repeatedly(), name="history pruner")

    async def close(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=STOP_SECONDS)

    async def _prune_repeatedly(self) -> None:
        ahead = self._ahead()
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            before, ahead = ahead, self._ahead()
            if abs(ahead - before) > JUMP_SECONDS:
                logger.warning("the database's clock has jumped by %+.0f s: nothing old is dropped now", ahead - before)
                continue
            try:
                await self._prune()
            except StoreFailed as error:
                logger.warning("what is old cannot be dropped now: %s", error)
            except Exception:
                # Nobody waits for this task, so nobody else would say it.
                logger.exception("unforeseen error while dropping what is old")

    def _ahead(self) -> float:
        """Returns how far the time is ahead of the monotonic clock: it changes when the time jumps, and then alone."""
        return self._clock.now() - self._clock.monotonic()

    async def _prune(self) -> None:
        if not self._days:
            return
        now = self._clock.now()
        await self._all(lambda: self._store.drop_operations(before=now - max(self._days, 1.0) * DAY))
        await self._all(lambda: self._store.prune_one(before=now - self._days * DAY))

    async def _all(self, drop: Callable[[], Awaitable[bool]]) -> None:
        while await drop():
            await self._clock.sleep(PAUSE_SECONDS)
