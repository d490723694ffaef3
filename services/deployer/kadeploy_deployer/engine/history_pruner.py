"""Drops what nobody will ask for any more, so that the database does not grow for ever."""

import asyncio
import logging

from kadeploy_deployer.domain.errors import StoreUnreachable
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.deployment_store import DeploymentStore

LOOK_SECONDS = 3600.0
PAUSE_SECONDS = 1.0
"""Between two deployments: whoever deploys now comes first."""
STOP_SECONDS = 10.0
DAY = 24 * 3600.0

logger = logging.getLogger(__name__)


class HistoryPruner:
    """Looks once an hour for deployments whose stories and outputs are older than the site wants to keep.

    Args:
        store: where they are.
        clock: time.
        days: how long they are kept after the deployment's end; 0: for ever.
    """

    def __init__(self, *, store: DeploymentStore, clock: Clock, days: float) -> None:
        self._store = store
        self._clock = clock
        self._days = days
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begins."""
        if self._days:
            self._task = asyncio.create_task(self._prune_repeatedly(), name="forgetting")

    async def close(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=STOP_SECONDS)

    async def _prune_repeatedly(self) -> None:
        while True:
            try:
                while await self._store.prune_one(before=self._clock.now() - self._days * DAY):
                    await self._clock.sleep(PAUSE_SECONDS)
            except StoreUnreachable as error:
                logger.warning("old stories cannot be dropped now: %s", error)
            except Exception:
                # Nobody waits for this task, so nobody else would say it.
                logger.exception("unforeseen error while dropping old stories")
            await self._clock.sleep(LOOK_SECONDS)
