"""The right to act on nodes, proved before each act: what a deployer does late it does to somebody else's nodes.

The database refuses what an old owner writes. Power, bootctl and nodes know nothing of leases, so the owner itself has
to know: a process that stood still for longer than its lease (stopped, swapped out, asleep) goes on in the middle of a
step, before anything in it has looked at the clock. Whoever drives a deployment or an operation does it behind a fence
therefore, and the adapters of the ports pass it at the last moment before they act.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from kadeploy_deployer.ports import Clock
from kadeploy_edge.errors import DomainError

MARGIN = 0.1
"""The part of a lease at its end in which nothing is begun: an act takes its time, too."""


class Fence:
    """Says whether a lease is held.

    Args:
        clock: time.
        lease_seconds: how long the lease lasts from each proof on.
        since: when it was proved last, of the monotonic clock.
        prove: renews the lease in the database; raises what `lost` makes when it is not ours any more.
        lost: makes the error of whoever acts without the lease.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        lease_seconds: float,
        since: float,
        prove: Callable[[], Awaitable[None]],
        lost: Callable[[], DomainError],
    ) -> None:
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._proved_at = since
        self._prove = prove
        self._lost = lost
        self._closed = False
        self._proving: asyncio.Task[None] | None = None

    @property
    def is_expired(self) -> bool:
        """Whether the lease has run out unless it was renewed unseen."""
        return self._clock.monotonic() - self._proved_at > self._lease_seconds

    def proved(self, at: float) -> None:
        """Hears that the lease was renewed. `at`: when that was begun, of the monotonic clock."""
        self._proved_at = max(self._proved_at, at)

    def close(self) -> None:
        """Lets nobody pass any more."""
        self._closed = True

    async def passed(self) -> None:
        """Returns when the lease is surely held, after asking the database if need be.

        Raises:
            LeaseLost, OperationLost: it is not ours any more.
            StoreFailed: nobody can say.
        """
        while not self._closed:
            if self._clock.monotonic() - self._proved_at < self._lease_seconds * (1 - MARGIN):
                return
            # One question for all nodes that are about to be worked on.
            if self._proving is None or self._proving.done():
                self._proving = asyncio.create_task(self._prove_again())
                # Whoever asked may be cancelled before the answer comes, and then nobody hears it.
                self._proving.add_done_callback(_heard)
            await asyncio.shield(self._proving)
        raise self._lost()

    async def _prove_again(self) -> None:
        asked = self._clock.monotonic()
        await self._prove()
        self.proved(asked)


def _heard(proving: "asyncio.Task[None]") -> None:
    if not proving.cancelled():
        proving.exception()


_here: ContextVar[Fence | None] = ContextVar("fence", default=None)


@contextmanager
def behind(fence: Fence) -> Iterator[None]:
    """Puts all that is begun inside, tasks too, behind a fence."""
    token = _here.set(fence)
    try:
        yield
    finally:
        _here.reset(token)


async def pass_fence() -> None:
    """Is called before an act; returns at once where nobody needs a lease. Raises as `Fence.passed`."""
    fence = _here.get()
    if fence is not None:
        await fence.passed()
