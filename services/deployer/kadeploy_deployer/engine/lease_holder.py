"""Who holds the lease of one deployment or operation: the fence before its nodes, and the runner that walks them.

A fault that passes is tried again from the journal; one that does not ends the deployment with its reason. A database
that is away is waited for: whoever cannot renew the lease stops this task from outside.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import LeaseLost, StoreFailed, StoreUnreachable
from kadeploy_deployer.domain.lifecycle import PartitionTrigger, given_up
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.engine.fence import Fence, behind
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.store_values import Ending

logger = logging.getLogger(__name__)

MOST_DRIVERS = 10
"""A deployment of which so many deployers died while none of its nodes moved on is lost."""
TRIES = 3
STOP_SECONDS = 30.0


class Runnable(Protocol):
    """What is wanted of a runner."""

    async def run(self) -> None:
        """Drives the deployment to its end."""
        ...

    def cancel(self) -> None:
        """Makes the deployment end as cancelled."""
        ...

    async def give_up(self, failure: Failure) -> None:
        """Ends the deployment because nobody brings it to its end, and leaves its nodes bootable."""
        ...


class LeaseHolder:
    """Holds the lease of one deployment or operation and drives it. `task`: the one that does it, where it was begun.

    Args:
        lease: what this process holds.
        since: when that was asked for, by the clock's `monotonic`.
        lease_seconds: how long it lasts from each proof on.
        store: where leases and the journal are.
        clock: time.
        make_runner: makes the runner for a lease.
    """

    def __init__(
        self,
        *,
        lease: Lease,
        since: float,
        lease_seconds: float,
        store: DeploymentStore,
        clock: Clock,
        make_runner: Callable[[Lease], Runnable],
    ) -> None:
        self.lease = lease
        self.task: asyncio.Task[None] | None = None
        self.fence = Fence(
            clock=clock,
            lease_seconds=lease_seconds,
            since=since,
            prove=self._prove,
            lost=lambda: LeaseLost(lease.deployment_id),
        )
        self._lease_seconds = lease_seconds
        self._store = store
        self._clock = clock
        self._make_runner = make_runner
        self._runner = make_runner(lease)

    def cancel(self) -> None:
        """Passes a cancellation on."""
        self._runner.cancel()

    async def run(self, before: "asyncio.Task[None] | None") -> None:
        """Drives to the end. `before`: another task of this process on the same deployment, which is ending."""
        try:
            if before is not None:
                await asyncio.wait({before}, timeout=STOP_SECONDS)
            if (doom := _doom(self.lease)) is not None:
                await self._give_up(doom)
                return
            await self._try()
        finally:
            # A step that did not stop when it was told to is still at work, perhaps.
            self.fence.close()

    async def _try(self) -> None:
        name = self.lease.deployment_id
        attempt = 1
        while True:
            try:
                with behind(self.fence):
                    await self._runner.run()
            except LeaseLost:
                if attempt == TRIES or not await self._is_ours():
                    logger.warning("deployment=%s is driven by somebody else now", name)
                    return
                # The database is further than we believed: the answer to a write was lost.
                attempt += 1
            except StoreFailed as error:
                # Nobody's fault here, and bounded: a lease that cannot be renewed ends this task.
                logger.warning("deployment=%s waits for the database: %s", name, error.message)
            except Exception as error:
                logger.exception("deployment=%s attempt=%d broke off", name, attempt)
                if attempt == TRIES:
                    text = f"the deployer broke off: {_text_of(error)}"
                    self._runner = self._make_runner(self.lease)
                    await self._give_up(Failure(reason=FailureReason.INTERNAL, description=text))
                    return
                attempt += 1
            else:
                return
            # A fault that passes deserves time: the journal knows where to go on.
            await self._clock.sleep(self._lease_seconds / 3)
            self._runner = self._make_runner(self.lease)

    async def _is_ours(self) -> bool:
        try:
            await self._prove()
        except (LeaseLost, StoreFailed):
            return False
        return True

    async def _prove(self) -> None:
        """Renews the lease because somebody wants to act now. Raises LeaseLost, StoreFailed."""
        try:
            async with asyncio.timeout(self._lease_seconds / 3):
                held = await self._store.renew([self.lease], now=self._clock.now(), lease_seconds=self._lease_seconds)
        except TimeoutError:
            raise StoreUnreachable("the database is too slow to say whether the lease is held") from None
        if self.lease.deployment_id not in held:
            raise LeaseLost(self.lease.deployment_id)

    # --- the end of what cannot be driven ---

    async def _give_up(self, failure: Failure) -> None:
        """Ends a deployment that cannot be driven; with its nodes left bootable, unless that is what kills us."""
        try:
            if self.lease.dead_drivers <= MOST_DRIVERS:
                with behind(self.fence):
                    await self._runner.give_up(failure)
                return
        except (LeaseLost, StoreFailed) as error:
            logger.error("deployment=%s cannot be ended: %s", self.lease.deployment_id, error)  # noqa: TRY400 - foreseen
            return
        except Exception:
            logger.exception("deployment=%s its nodes cannot be left bootable", self.lease.deployment_id)
        await self._end(failure)

    async def _end(self, failure: Failure) -> None:
        """Ends a deployment, and does nothing else."""
        name = self.lease.deployment_id
        try:
            found = await self._store.find(name)
            await self._store.end(
                self.lease,
                Ending(
                    trigger=given_up(found.state, failure.reason),
                    description=failure.description,
                    failures={node.node: failure for node in found.nodes if node.active},
                    node_trigger=PartitionTrigger.LOSE,
                ),
                now=self._clock.now(),
            )
        except (LeaseLost, StoreFailed) as error:
            logger.error("deployment=%s cannot be ended: %s", name, error)  # noqa: TRY400 - foreseen
        except Exception:
            # Nobody waits for this task, so nobody else would say it. It is taken up again when its lease has expired.
            logger.exception("deployment=%s cannot be ended", name)


def _doom(lease: Lease) -> Failure | None:
    """Returns why a deployment is not driven any more, if that is so."""
    if lease.dead_drivers < MOST_DRIVERS:
        return None
    text = f"lost: {lease.dead_drivers} deployers in turn died before any node moved on"
    return Failure(reason=FailureReason.LEASE_LOST, description=text)


def _text_of(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no text'])[0][:200]}"
