"""A fence that lets nobody pass: for whoever has lost his lease."""

from kadeploy_deployer.domain.errors import LeaseLost
from kadeploy_deployer.engine.fence import Fence
from tests.fakes.manual_clock import ManualClock


def closed_fence() -> Fence:
    """Returns a fence behind which nothing acts; what tries to gets LeaseLost."""

    async def prove() -> None:
        raise AssertionError

    fence = Fence(clock=ManualClock(), lease_seconds=30.0, since=0.0, prove=prove, lost=lambda: LeaseLost("d-1"))
    fence.close()
    return fence
