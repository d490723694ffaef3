"""Owns the tasks that drive deployments: starts, renews their leases, takes over the orphans of dead deployers, stops.

A lease that was not renewed in time is not ours any more, even before anybody else takes it: its task is stopped
at once, and whatever it still tries to write is refused by the fence. The leases of dead operations and requests end
here, too. Who is dead is judged by `LeaseWatch`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import StoreFailed
from kadeploy_deployer.domain.lease_record import LeaseKind, LeaseRecord
from kadeploy_deployer.engine.lease_holder import LeaseHolder, Runnable
from kadeploy_deployer.engine.lease_watch import LeaseWatch
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_edge.request_id import current_request_id

_Answer = TypeVar("_Answer")

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 50
CLOSE_SECONDS = 12.0
"""What a step that is stopped takes at most, and a bit; the process has 25 s in all."""
"""How many orphans are taken over in one go."""
JUMP_SECONDS = 1.0
"""A difference that no slow answer explains."""


class Supervisor:
    """Drives the deployments of this process.

    Args:
        store: where leases are.
        clock: time.
        make_runner: makes the runner for a lease.
        driver: the name of this process; no other process may ever have it.
        lease_seconds: how long a lease lasts. It is renewed three times as often.
        look_seconds: how often cancellations and the leases of others are looked for.
        on_lost: is told of each deployment whose lease this process lost.
    """

    def __init__(
        self,
        *,
        store: DeploymentStore,
        clock: Clock,
        make_runner: Callable[[Lease], Runnable],
        driver: str,
        lease_seconds: float,
        look_seconds: float = 1.0,
        on_lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.driver = driver
        self._on_lost = on_lost
        self.lease_seconds = lease_seconds
        self._store = store
        self._clock = clock
        self._make_runner = make_runner
        self._look_seconds = min(look_seconds, lease_seconds / 3)
        self._driven: dict[str, LeaseHolder] = {}
        self._given_up: dict[str, LeaseHolder] = {}
        self._watch = LeaseWatch()
        self._claiming: tuple[float, asyncio.Future[Sequence[Lease]]] | None = None
        self._loop: asyncio.Task[None] | None = None

    def start(self, lease: Lease, *, since: float) -> None:
        """Drives a deployment whose lease this process holds. `since`: when that was asked for, by `monotonic`."""
        name = lease.deployment_id
        holder = LeaseHolder(
            lease=lease,
            since=since,
            lease_seconds=self.lease_seconds,
            store=self._store,
            clock=self._clock,
            make_runner=self._make_runner,
        )
        # Our own lease, expired while we slept: what was under way stops before it is begun again.
        if name in self._driven:
            self._stop(self._driven[name], "it is taken over by this process itself")
        before = self._given_up.pop(name, None)
        self._driven[name] = holder
        holder.task = asyncio.create_task(self._drive(holder, before), name=f"deployment {name}")

    async def _drive(self, holder: LeaseHolder, before: LeaseHolder | None) -> None:
        name = holder.lease.deployment_id
        # What was taken over has no call any more that it was made in.
        current_request_id.set(current_request_id.get() or name)
        try:
            await holder.run(None if before is None else before.task)
        finally:
            if self._driven.get(name) is holder:
                del self._driven[name]

    def cancel(self, deployment_id: str) -> None:
        """Passes a cancellation on at once, if this process drives the deployment."""
        if deployment_id in self._driven:
            self._driven[deployment_id].cancel()

    def open(self) -> None:
        """Begins to look after leases and orphans."""
        self._loop = asyncio.create_task(self._look_after(), name="supervisor")

    async def close(self) -> None:
        """Stops all tasks, changes no state, and gives the leases back, so that any deployer goes on at once."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait({self._loop}, timeout=CLOSE_SECONDS)
        driven = list(self._driven.values())
        tasks = {one.task for one in driven if one.task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for one in driven:
            one.fence.close()
        try:
            await self._store.release([one.lease for one in driven])
        except StoreFailed as error:
            logger.warning("leases cannot be given back, they expire: %s", error.message)

    # --- leases ---

    async def _look_after(self) -> None:
        next_renewal = self._clock.monotonic()
        while True:
            try:
                if self._clock.monotonic() >= next_renewal:
                    await self._ask_the_time()
                    await self._renew()
                    next_renewal = self._clock.monotonic() + self.lease_seconds / 3
                await self._take_over()
                await self._pass_cancellations_on()
            except (StoreFailed, TimeoutError) as error:
                logger.warning("leases cannot be looked after: %s", str(error) or "the database is too slow")
            except Exception:
                # This loop keeps all deployments of the process alive: it goes on whatever happens.
                logger.exception("unforeseen error while looking after leases")
            self._stop_expired()
            await self._clock.sleep(self._look_seconds)

    async def _ask_the_time(self) -> None:
        jump = await self._bounded(self._clock.synchronise())
        if abs(jump) > JUMP_SECONDS:
            logger.warning("the database's clock has jumped by %+.1f s; times that are told jump with it", jump)

    async def _renew(self) -> None:
        driven = dict(self._driven)
        if not driven:
            return
        asked_at = self._clock.monotonic()
        leases = [one.lease for one in driven.values()]
        renewing = self._store.renew(leases, now=self._clock.now(), lease_seconds=self.lease_seconds)
        held = await self._bounded(renewing)
        for deployment_id, one in driven.items():
            if deployment_id in held:
                one.fence.proved(asked_at)
            elif self._driven.get(deployment_id) is one:
                self._stop(one, "its lease was taken over")

    def _stop_expired(self) -> None:
        for one in list(self._driven.values()):
            if one.fence.is_expired:
                self._stop(one, "its lease could not be renewed in time")

    def _stop(self, one: LeaseHolder, cause: str) -> None:
        name = one.lease.deployment_id
        logger.warning("deployment=%s is given up: %s", name, cause)
        self._on_lost(name)
        self._driven.pop(name, None)
        self._given_up[name] = one
        one.fence.close()
        if one.task is not None:
            one.task.cancel()

    async def _take_over(self) -> None:
        """Drives what has no living driver. An answer that is late is not lost: what was claimed is driven then."""
        if self._claiming is None:
            orphans = await self._orphans()
            if not orphans:
                return
            claim = self._store.claim(
                orphans, driver=self.driver, now=self._clock.now(), lease_seconds=self.lease_seconds
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

    async def _orphans(self) -> Sequence[LeaseRecord]:
        """Frees what dead operations and requests hold, and returns some deployments that nobody drives."""
        asked_at = self._clock.monotonic()
        held = await self._bounded(self._store.list_leases())
        run_out = self._watch.find_expired(held, asked_at=asked_at, answered_at=self._clock.monotonic())
        others = [lease for lease in run_out if lease.kind is not LeaseKind.DEPLOYMENT]
        if others:
            logger.info("freed, for nobody renews it: %s", ", ".join(f"{one.kind} {one.name}" for one in others))
            await self._bounded(self._store.free(others))
        ours = [lease for lease in held if self._has_given_up(lease)]
        orphans = [lease for lease in run_out if lease.kind is LeaseKind.DEPLOYMENT and lease not in ours]
        return [*ours, *orphans][:MOST_AT_ONCE]

    def _has_given_up(self, lease: LeaseRecord) -> bool:
        """Returns whether this process drove a deployment under a lease that is still in its name, and stopped."""
        given_up = self._given_up.get(lease.name)
        return given_up is not None and (lease.driver, lease.fence) == (self.driver, given_up.lease.fence)

    async def _bounded(self, call: Awaitable[_Answer]) -> _Answer:
        """Waits for the database, but not so long that an expired lease goes unnoticed."""
        # Not wait_for: in Python 3.11 it can swallow the cancellation with which this loop is ended.
        async with asyncio.timeout(self.lease_seconds / 3):
            return await call

    async def _pass_cancellations_on(self) -> None:
        if self._driven:
            for deployment_id in await self._bounded(self._store.cancel_requests(list(self._driven))):
                self.cancel(deployment_id)
