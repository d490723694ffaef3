"""The lease of what an operation holds: renewed while the work goes on, and given back however it ends."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from kadeploy_deployer.domain.control_errors import OperationLost
from kadeploy_deployer.domain.errors import StoreFailed, StoreUnreachable
from kadeploy_deployer.domain.holder import OPERATION_PREFIX
from kadeploy_deployer.engine.fence import Fence, behind
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.operation_store import NewOperation, OperationStore

logger = logging.getLogger(__name__)

RELEASE_SECONDS = 10.0

_Result = TypeVar("_Result")


async def taken(taking: Awaitable[_Result]) -> _Result:
    """Waits for a write that takes something for an operation, in one piece.

    A database's thread goes on when its caller is cancelled: what gives everything back must come after it, or the
    lock would stay until its lease expires.
    """
    writing = asyncio.ensure_future(taking)
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        ended, _ = await asyncio.wait({writing}, timeout=RELEASE_SECONDS)
        for each in ended:
            each.exception()  # heard, or asyncio would say that nobody did; the caller is gone
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseHolder:
    """What keeps operations: the database, time, and how long a lease lasts."""

    store: OperationStore
    clock: Clock
    lease_seconds: float

    def begin(self, kind: str, owner: str) -> NewOperation:
        """Returns a new operation, of which nothing is stored yet."""
        now = self.clock.now()
        day = time.strftime("%Y%m%d", time.gmtime(now))
        return NewOperation(
            id=f"{OPERATION_PREFIX}{kind}-{day}-{secrets.token_hex(5)}",
            owner=owner,
            lease_seconds=self.lease_seconds,
            now=now,
        )

    async def keep(self, operation: NewOperation, work: Awaitable[None], *, stop: asyncio.Event | None = None) -> None:
        """Waits for the work, renewing what the operation holds, and gives it back however the work ends.

        Args:
            operation: what holds it.
            work: what is done meanwhile.
            stop: set when the caller asked any deployer to stop the operation.

        Raises:
            OperationLost: the lease could not be renewed in time; the work was stopped.
        """
        fence = Fence(
            clock=self.clock,
            lease_seconds=self.lease_seconds,
            since=self.clock.monotonic(),
            prove=lambda: self._prove(operation.id, stop),
            lost=lambda: OperationLost(operation.id),
        )
        with behind(fence):
            working = asyncio.ensure_future(work)
        renewing = asyncio.create_task(self._renew(operation.id, fence, stop), name=f"lease of {operation.id}")
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                renewing.result()
            working.result()
        finally:
            working.cancel()
            renewing.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)
            fence.close()
            await self.release(operation)

    async def release(self, operation: NewOperation) -> None:
        """Gives back what the operation holds. What cannot be given back now expires with its lease."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await asyncio.shield(self.store.release(operation.id))
        except (StoreFailed, TimeoutError) as error:
            logger.warning("operation=%s its locks stay until their lease expires: %s", operation.id, error)

    async def _renew(self, operation_id: str, fence: Fence, stop: asyncio.Event | None) -> None:
        """Never returns; raises OperationLost when the lease is over."""
        while True:
            await self.clock.sleep(self.lease_seconds / 3)
            asked = self.clock.monotonic()
            try:
                await self._prove(operation_id, stop)
            except StoreFailed as error:
                logger.warning("operation=%s its lease cannot be renewed: %s", operation_id, error)
                if fence.is_expired:
                    raise OperationLost(operation_id) from error
                continue
            fence.proved(asked)

    async def _prove(self, operation_id: str, stop: asyncio.Event | None) -> None:
        """Renews what the operation holds. Raises OperationLost, StoreUnreachable."""
        try:
            async with asyncio.timeout(self.lease_seconds / 3):
                renewal = await self.store.renew(operation_id)
        except TimeoutError:
            raise StoreUnreachable("the database is too slow") from None
        if not renewal.held:
            raise OperationLost(operation_id)
        if renewal.stop_asked and stop is not None:
            stop.set()
