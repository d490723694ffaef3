"""The lease of a console: renewed while somebody is at it, and given back however that ends."""

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
from kadeploy_deployer.ports.console_store import ConsoleSession, ConsoleStore

logger = logging.getLogger(__name__)

RELEASE_SECONDS = 10.0

_Result = TypeVar("_Result")


def new_operation_id(kind: str, now: float) -> str:
    """Returns an id for an operation: its kind, the day, so that people can place it, and chance."""
    return f"{OPERATION_PREFIX}{kind}-{time.strftime('%Y%m%d', time.gmtime(now))}-{secrets.token_hex(5)}"


async def in_one_piece(writing: Awaitable[_Result]) -> _Result:
    """Waits for a write that takes something, in one piece.

    A database's thread goes on when its caller is cancelled: what gives everything back must come after it, or what
    was taken would stay so until its lease expires.
    """
    task = asyncio.ensure_future(writing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        ended, _ = await asyncio.wait({task}, timeout=RELEASE_SECONDS)
        for each in ended:
            # The caller is gone, so nobody else looks at it.
            each.exception()
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleLeases:
    """Keeps consoles: the database, time, and how long a lease lasts."""

    store: ConsoleStore
    clock: Clock
    lease_seconds: float

    def begin(self, node: str, owner: str) -> ConsoleSession:
        """Returns a new session, of which nothing is stored yet."""
        now = self.clock.now()
        return ConsoleSession(
            id=new_operation_id("console", now), node=node, owner=owner, lease_seconds=self.lease_seconds, now=now
        )

    async def keep(self, session: ConsoleSession, work: Awaitable[None]) -> None:
        """Waits for the work, renewing the session's lease, and gives the console back however the work ends.

        Raises:
            OperationLost: the lease could not be renewed in time; the work was stopped.
        """
        fence = Fence(
            clock=self.clock,
            lease_seconds=self.lease_seconds,
            since=self.clock.monotonic(),
            prove=lambda: self._prove(session.id),
            lost=lambda: OperationLost(session.id),
        )
        with behind(fence):
            working = asyncio.ensure_future(work)
        renewing = asyncio.create_task(self._renew(session.id, fence), name=f"lease of {session.id}")
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
            await self._release(session)

    async def _release(self, session: ConsoleSession) -> None:
        """Gives the console back. If that fails now, it expires with its lease."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await asyncio.shield(self.store.release(session.id))
        except (StoreFailed, TimeoutError) as error:
            logger.warning("session=%s the console stays in use until its lease expires: %s", session.id, error)

    async def _renew(self, session_id: str, fence: Fence) -> None:
        """Never returns; raises OperationLost when the lease is over."""
        while True:
            await self.clock.sleep(self.lease_seconds / 3)
            asked = self.clock.monotonic()
            try:
                await self._prove(session_id)
            except StoreFailed as error:
                logger.warning("session=%s its lease cannot be renewed: %s", session_id, error)
                if fence.is_expired:
                    raise OperationLost(session_id) from error
                continue
            fence.proved(asked)

    async def _prove(self, session_id: str) -> None:
        """Renews the lease. Raises OperationLost, StoreUnreachable."""
        try:
            async with asyncio.timeout(self.lease_seconds / 3):
                held = await self.store.renew(session_id)
        except TimeoutError:
            raise StoreUnreachable("the database is too slow") from None
        if not held:
            raise OperationLost(session_id)
