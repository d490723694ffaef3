"""Owns the tasks that drive deployments: starts, renews their leases, takes over the orphans of dead deployers, stops.

A lease that was not renewed in time is not ours any more, even before anybody else takes it: its task is stopped
at once, and whatever it still tries to write is refused by the fence.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from kadeploy_deployer.app.fence import Fence, behind
from kadeploy_deployer.app.ports import Clock
from kadeploy_deployer.app.store import DeploymentStore
from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import LeaseLost, StoreUnreachable
from kadeploy_deployer.domain.lifecycle import PartitionTrigger, given_up
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason

_Answer = TypeVar("_Answer")

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 50
"""How many orphans are taken over in one go."""
MOST_DRIVERS = 10
"""A deployment that so many deployers did not bring beyond one step is lost."""
JUMP_SECONDS = 1.0
"""A difference that no slow answer explains."""
TRIES = 3
STOP_SECONDS = 30.0


class Drive(Protocol):
    """What the supervisor wants of a runner."""

    async def run(self) -> None:
        """Drives the deployment to its end."""
        ...

    def cancel(self) -> None:
        """Makes the deployment end as cancelled."""
        ...

    async def give_up(self, failure: Failure) -> None:
        """Ends the deployment because nobody brings it to its end, and leaves its nodes bootable."""
        ...


@dataclass(slots=True, kw_only=True)
class _Driven:
    lease: Lease
    runner: Drive
    fence: Fence
    doom: Failure | None = None
    task: "asyncio.Task[None] | None" = None


class Supervisor:
    """Drives the deployments of this process.

    Args:
        store: where leases are.
        clock: time.
        make_runner: makes the runner for a lease.
        driver: the name of this process; no other process may ever have it.
        lease_seconds: how long a lease lasts. It is renewed three times as often.
        look_seconds: how often cancellations are looked for.
    """

    def __init__(
        self,
        *,
        store: DeploymentStore,
        clock: Clock,
        make_runner: Callable[[Lease], Drive],
        driver: str,
        lease_seconds: float,
        look_seconds: float = 1.0,
    ) -> None:
        self.driver = driver
        self.lease_seconds = lease_seconds
        self._store = store
        self._clock = clock
        self._make_runner = make_runner
        self._look_seconds = min(look_seconds, lease_seconds / 3)
        self._driven: dict[str, _Driven] = {}
        self._takes_over_from = float("-inf")
        self._claiming: tuple[float, asyncio.Future[Sequence[Lease]]] | None = None
        self._loop: asyncio.Task[None] | None = None

    def start(self, lease: Lease, *, since: float) -> None:
        """Drives a deployment whose lease this process holds. `since`: when that was asked for, by `monotonic`."""
        self._start(lease, since=since, doom=_doom(lease))

    def _start(self, lease: Lease, *, since: float, doom: Failure | None) -> None:
        fence = Fence(
            clock=self._clock,
            lease_seconds=self.lease_seconds,
            since=since,
            prove=lambda: self._prove(lease),
            lost=lambda: LeaseLost(lease.deployment_id),
        )
        driven = _Driven(lease=lease, runner=self._make_runner(lease), fence=fence, doom=doom)
        # Our own lease, expired while we slept: what was under way stops before it is begun again.
        before = self._driven.get(lease.deployment_id)
        if before is not None:
            self._stop(before, "it is taken over by this process itself")
        self._driven[lease.deployment_id] = driven
        task_before = None if before is None else before.task
        driven.task = asyncio.create_task(self._drive(driven, task_before), name=f"deployment {lease.deployment_id}")

    def cancel(self, deployment_id: str) -> None:
        """Passes a cancellation on at once, if this process drives the deployment."""
        if deployment_id in self._driven:
            self._driven[deployment_id].runner.cancel()

    def open(self) -> None:
        """Begins to look after leases and orphans."""
        self._loop = asyncio.create_task(self._look_after(), name="supervisor")

    async def close(self) -> None:
        """Stops all tasks, changes no state, and gives the leases back, so that any deployer goes on at once."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait({self._loop}, timeout=STOP_SECONDS)
        driven = list(self._driven.values())
        tasks = {one.task for one in driven if one.task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for one in driven:
            one.fence.close()
        try:
            await self._store.release([one.lease for one in driven])
        except StoreUnreachable as error:
            logger.warning("leases cannot be given back, they expire: %s", error.message)

    # --- one deployment ---

    async def _drive(self, driven: _Driven, before: "asyncio.Task[None] | None") -> None:
        lease = driven.lease
        attempt = 1
        try:
            if before is not None:
                await asyncio.wait({before}, timeout=STOP_SECONDS)
            if driven.doom is not None:
                await self._give_up(driven, driven.doom)
                return
            while True:
                try:
                    with behind(driven.fence):
                        await driven.runner.run()
                except LeaseLost:
                    if attempt < TRIES and await self._is_ours(lease):
                        # The database is further than we believed: the answer to a write was lost.
                        attempt += 1
                        await self._again(driven)
                        continue
                    logger.warning("deployment=%s is driven by somebody else now", lease.deployment_id)
                except StoreUnreachable as error:
                    # Nobody's fault here, and bounded: a lease that cannot be renewed ends this task.
                    logger.warning("deployment=%s waits for the database: %s", lease.deployment_id, error.message)
                    await self._again(driven)
                    continue
                except Exception as error:
                    logger.exception("deployment=%s attempt=%d broke off", lease.deployment_id, attempt)
                    if attempt == TRIES:
                        text = f"the deployer broke off: {_told(error)}"
                        driven.runner = self._make_runner(lease)
                        await self._give_up(driven, Failure(reason=FailureReason.INTERNAL, description=text))
                        return
                    attempt += 1
                    await self._again(driven)
                    continue
                return
        finally:
            # A step that did not stop when it was told to is still at work, perhaps.
            driven.fence.close()
            if self._driven.get(lease.deployment_id) is driven:
                del self._driven[lease.deployment_id]

    async def _is_ours(self, lease: Lease) -> bool:
        try:
            await self._prove(lease)
        except (LeaseLost, StoreUnreachable):
            return False
        return True

    async def _again(self, driven: _Driven) -> None:
        """Makes a new runner after a while. A fault that passes deserves time: the journal knows where to go on."""
        await self._clock.sleep(self.lease_seconds / 3)
        driven.runner = self._make_runner(driven.lease)

    async def _give_up(self, driven: _Driven, failure: Failure) -> None:
        """Ends a deployment that cannot be driven; with its nodes left bootable, unless that is what kills us."""
        try:
            if driven.lease.dead_drivers <= MOST_DRIVERS:
                with behind(driven.fence):
                    await driven.runner.give_up(failure)
                return
        except (LeaseLost, StoreUnreachable) as error:
            logger.error("deployment=%s cannot be ended: %s", driven.lease.deployment_id, error)  # noqa: TRY400 - foreseen
            return
        except Exception:
            logger.exception("deployment=%s its nodes cannot be left bootable", driven.lease.deployment_id)
        await self._end(driven.lease, failure)

    async def _end(self, lease: Lease, failure: Failure) -> None:
        """Ends a deployment, and does nothing else."""
        try:
            deployment = await self._store.get(lease.deployment_id)
            await self._store.end(
                lease,
                trigger=given_up(deployment.state, failure.reason),
                description=failure.description,
                failures={node.node: failure for node in deployment.nodes if node.active},
                node_trigger=PartitionTrigger.LOSE,
                now=self._clock.now(),
            )
        except (LeaseLost, StoreUnreachable) as error:
            logger.error("deployment=%s cannot be ended: %s", lease.deployment_id, error)  # noqa: TRY400 - foreseen
        except Exception:
            # Nobody waits for this task, so nobody else would say it. It is taken up again when its lease has expired.
            logger.exception("deployment=%s cannot be ended", lease.deployment_id)

    # --- leases ---

    async def _look_after(self) -> None:
        next_renewal = self._clock.monotonic()
        while True:
            try:
                if self._clock.monotonic() >= next_renewal:
                    await self._ask_the_time()
                    await self._renew()
                    if self._clock.monotonic() >= self._takes_over_from:
                        await self._take_over()
                    next_renewal = self._clock.monotonic() + self.lease_seconds / 3
                await self._pass_cancellations_on()
            except (StoreUnreachable, TimeoutError) as error:
                logger.warning("leases cannot be looked after: %s", str(error) or "the database is too slow")
            except Exception:
                # This loop keeps all deployments of the process alive: it goes on whatever happens.
                logger.exception("unforeseen error while looking after leases")
            self._stop_expired()
            await self._clock.sleep(self._look_seconds)

    async def _ask_the_time(self) -> None:
        jump = await self._bounded(self._clock.synchronise())
        if abs(jump) > JUMP_SECONDS:
            # By the new time every lease may seem to be over. Whoever is alive renews it before it would be.
            logger.warning("the database's clock has jumped by %+.1f s; nothing is taken over for a while", jump)
            self._takes_over_from = self._clock.monotonic() + self.lease_seconds

    async def _renew(self) -> None:
        driven = dict(self._driven)
        if not driven:
            return
        asked_at = self._clock.monotonic()
        leases = [one.lease for one in driven.values()]
        expiry = self._clock.now() + self.lease_seconds
        held = await self._bounded(self._store.renew(leases, lease_expires_at=expiry))
        for deployment_id, one in driven.items():
            if deployment_id in held:
                one.fence.proved(asked_at)
            elif self._driven.get(deployment_id) is one:
                self._stop(one, "its lease was taken over")

    def _stop_expired(self) -> None:
        for one in list(self._driven.values()):
            if one.fence.is_expired:
                self._stop(one, "its lease could not be renewed in time")

    def _stop(self, one: _Driven, cause: str) -> None:
        logger.warning("deployment=%s is given up: %s", one.lease.deployment_id, cause)
        self._driven.pop(one.lease.deployment_id, None)
        one.fence.close()
        if one.task is not None:
            one.task.cancel()

    async def _prove(self, lease: Lease) -> None:
        """Renews one lease because somebody wants to act now. Raises LeaseLost, StoreUnreachable."""
        try:
            expiry = self._clock.now() + self.lease_seconds
            held = await self._bounded(self._store.renew([lease], lease_expires_at=expiry))
        except TimeoutError:
            raise StoreUnreachable("the database is too slow to say whether the lease is held") from None
        if lease.deployment_id not in held:
            raise LeaseLost(lease.deployment_id)

    async def _take_over(self) -> None:
        """Drives what has no living driver. An answer that is late is not lost: what was claimed is driven then."""
        if self._claiming is None:
            now = self._clock.now()
            claim = self._store.claim(
                driver=self.driver, now=now, lease_expires_at=now + self.lease_seconds, most=MOST_AT_ONCE
            )
            self._claiming = self._clock.monotonic(), asyncio.ensure_future(claim)
        asked_at, claiming = self._claiming
        try:
            leases = await self._bounded(asyncio.shield(claiming))
        finally:
            if claiming.done():
                self._claiming = None
        for lease in leases:
            logger.info("deployment=%s fence=%d taken over", lease.deployment_id, lease.fence)
            self.start(lease, since=asked_at)

    async def _bounded(self, call: Awaitable[_Answer]) -> _Answer:
        """Waits for the database, but not so long that an expired lease goes unnoticed."""
        # Not wait_for: in Python 3.11 it can swallow the cancellation with which this loop is ended.
        async with asyncio.timeout(self.lease_seconds / 3):
            return await call

    async def _pass_cancellations_on(self) -> None:
        if self._driven:
            for deployment_id in await self._bounded(self._store.cancel_requests(list(self._driven))):
                self.cancel(deployment_id)


def _doom(lease: Lease) -> Failure | None:
    """Returns why a deployment is not driven any more, if that is so."""
    if lease.dead_drivers < MOST_DRIVERS:
        return None
    text = f"lost: {lease.dead_drivers} deployers in turn died in the same step"
    return Failure(reason=FailureReason.LEASE_LOST, description=text)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no text'])[0][:200]}"
