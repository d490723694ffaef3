"""Drops what nobody will ask for any more, so that the database does not grow for ever.

What is old is judged by the database's clock, which may jump. So nothing is dropped before that clock has run evenly
from one look to the next: one that is wrong for less than an hour drops nothing before its time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kadeploy_deployer.domain.errors import StoreFailed
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.operation_store import OperationStore

LOOK_SECONDS = 3600.0
PAUSE_SECONDS = 1.0
"""Between two drops: whoever deploys now comes first."""
STOP_SECONDS = 10.0
DAY = 24 * 3600.0
REQUEST_SECONDS = DAY
"""How long a request for an operation is known: far longer than anybody asks again for an answer that was lost."""
JUMP_SECONDS = 60.0
"""So far a clock may be put right without having been wrong."""

logger = logging.getLogger(__name__)


class HistoryPruner:
    """Looks once an hour for events and outputs of deployments, and for requests, that are too old to be kept.

    Args:
        store: where deployments are.
        operations: where requests for operations are.
        clock: time.
        days: how long events and outputs are kept after a deployment's end; 0: for ever.
    """

    def __init__(self, *, store: DeploymentStore, operations: OperationStore, clock: Clock, days: float) -> None:
        self._store = store
        self._operations = operations
        self._clock = clock
        self._days = days
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._prune_repeatedly(), name="forgetting")

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
                await self._forget()
            except StoreFailed as error:
                logger.warning("what is old cannot be dropped now: %s", error)
            except Exception:
                # Nobody waits for this task, so nobody else would say it.
                logger.exception("unforeseen error while dropping what is old")

    def _ahead(self) -> float:
        """Returns how far the time is ahead of the monotonic clock: it changes when the time jumps, and then alone."""
        return self._clock.now() - self._clock.monotonic()

    async def _forget(self) -> None:
        now = self._clock.now()
        await self._all(lambda: self._operations.forget_requests(before=now - REQUEST_SECONDS))
        if self._days:
            await self._all(lambda: self._store.prune_one(before=now - self._days * DAY))

    async def _all(self, drop: Callable[[], Awaitable[bool]]) -> None:
        while await drop():
            await self._clock.sleep(PAUSE_SECONDS)
