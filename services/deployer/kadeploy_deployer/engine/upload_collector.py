"""Removes uploads that no environment and no running deployment names any more."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.ports import Clock, Inventory
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.store_values import DeploymentFilter
from kadeploy_deployer.ports.uploads import UploadKeeper
from kadeploy_edge.errors import DomainError

LOOK_SECONDS = 3600.0
STOP_SECONDS = 10.0
HOUR = 3600.0
MOST_RUNNING = 10_000

logger = logging.getLogger(__name__)


async def named_addresses(*, inventory: Inventory, store: DeploymentStore) -> frozenset[str]:
    """Returns the addresses of files that environments and running deployments name. Raises DomainError."""
    named = set(await inventory.file_addresses())
    running = DeploymentFilter(states=(DeploymentState.WAITING, DeploymentState.DEPLOYING))
    for row in await store.list_deployments(running, after=None, limit=MOST_RUNNING):
        # Lists tell only what is short.
        deployment = await store.get(row.id)
        named.update(file.uri for file in deployment.environment.files)
    return frozenset(named)


class UploadCollector:
    """Looks once an hour.

    Args:
        uploads: what may be removed.
        named: returns the addresses that are named; when it cannot say, nothing is removed.
        clock: time.
        now: the time by which files are dated.
        keep_hours: how long an upload is kept that nothing names: whoever uploads records a moment later.
    """

    def __init__(
        self,
        *,
        uploads: UploadKeeper,
        named: Callable[[], Awaitable[frozenset[str]]],
        clock: Clock,
        now: Callable[[], float],
        keep_hours: float,
    ) -> None:
        self._uploads, self._named, self._clock, self._now = uploads, named, clock, now
        self._keep = keep_hours * HOUR
        self._threads = FileThreads(in_all=1, per_user=1)
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._collect_repeatedly(), name="upload collector")

    async def close(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=STOP_SECONDS)

    async def collect(self) -> None:
        """Removes what is not named now. Raises DomainError, OSError."""
        # What is named later than this look was used later, too.
        before = self._now() - self._keep
        named = await self._named()
        for uri in await self._threads.run(lambda _: self._uploads.collect(named, before=before)):
            logger.info("uri=%s is named by nothing any more and was removed", uri)

    async def _collect_repeatedly(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self.collect()
            except (DomainError, OSError) as error:
                logger.warning("uploads are not collected now: %s", error)
            except Exception:
                # Nobody waits for this task, so nobody else would say it.
                logger.exception("unforeseen error while collecting uploads")
