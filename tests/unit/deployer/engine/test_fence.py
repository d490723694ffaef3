"""The fence: who passes it, when the database is asked, and what stays outside."""

import asyncio
import gc
from pathlib import Path

import pytest

from kadeploy_deployer.domain.errors import LeaseLost, StoreUnreachable
from kadeploy_deployer.domain.operation import PresentEntry
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.engine.fence import Fence, behind, pass_fence
from tests.fakes.control_room import ControlRoom
from tests.fakes.manual_clock import ManualClock

LEASE = 30.0


class Lease:
    """A lease that can be lost; `asked`: how often somebody wanted to know."""

    def __init__(self) -> None:
        self.clock = ManualClock(automatic=False)
        self.asked = 0
        self.error: Exception | None = None
        self.fence = Fence(
            clock=self.clock,
            lease_seconds=LEASE,
            since=self.clock.monotonic(),
            prove=self._prove,
            lost=lambda: LeaseLost("d-1"),
        )

    async def _prove(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error


async def test_nobody_is_asked_while_the_lease_is_surely_held() -> None:
    lease = Lease()
    lease.clock.advance(LEASE * 0.8)
    await lease.fence.passed()
    assert lease.asked == 0


async def test_near_its_end_the_database_is_asked_once_for_all_nodes() -> None:
    lease = Lease()
    lease.clock.advance(LEASE * 0.95)
    await asyncio.gather(*(lease.fence.passed() for _ in range(100)))
    await lease.fence.passed()
    assert lease.asked == 1


async def test_an_answer_that_nobody_waits_for_any_more_is_no_noise_in_the_log() -> None:
    noise: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    lease = Lease()
    lease.error = LeaseLost("d-1")
    lease.clock.advance(LEASE * 2)
    asker = asyncio.create_task(lease.fence.passed())
    await asyncio.sleep(0)
    asker.cancel()
    await asyncio.wait({asker})
    for _ in range(10):
        await asyncio.sleep(0)
    assert lease.asked == 1
    del asker, lease
    gc.collect()
    assert noise == []


async def test_a_renewal_elsewhere_counts() -> None:
    lease = Lease()
    lease.clock.advance(LEASE * 2)
    assert lease.fence.is_expired
    lease.fence.proved(lease.clock.monotonic())
    await lease.fence.passed()
    assert lease.asked == 0


@pytest.mark.parametrize("error", [LeaseLost("d-1"), StoreUnreachable("the database does not answer")])
async def test_who_cannot_prove_his_lease_does_not_pass(error: Exception) -> None:
    lease = Lease()
    lease.clock.advance(LEASE)
    lease.error = error
    with pytest.raises(type(error)):
        await lease.fence.passed()


async def test_nobody_passes_a_closed_fence_not_even_who_was_waiting_at_it() -> None:
    lease = Lease()
    lease.clock.advance(LEASE)
    waiting = asyncio.create_task(lease.fence.passed())
    await asyncio.sleep(0)
    lease.fence.close()
    with pytest.raises(LeaseLost):
        await waiting
    with pytest.raises(LeaseLost):
        await lease.fence.passed()


async def test_all_that_is_begun_behind_a_fence_stays_behind_it_and_nothing_else() -> None:
    lease = Lease()
    lease.fence.close()

    async def inside() -> None:
        await asyncio.sleep(0)
        await asyncio.create_task(pass_fence())

    with behind(lease.fence):
        task = asyncio.create_task(inside())
    await pass_fence()
    with pytest.raises(LeaseLost):
        await task


@pytest.mark.parametrize("lost", [True, False])
async def test_an_operation_whose_lease_is_over_acts_on_no_node(
    lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = ControlRoom(tmp_path, "node-1")
    clock, look = room.workshop.clock, room.workshop.power.is_on

    async def stand_still(node: NodeSnapshot) -> bool | None:
        clock.time += 3600.0
        if lost:
            # Another deployer takes over meanwhile, and does nothing yet.
            await room.world.claim_all("another")
        return await look(node)

    monkeypatch.setattr(room.workshop.power, "is_on", stand_still)
    room.machines["node-1"].deaf_to = {"soft"}
    reboot = asyncio.create_task(room.reboot(PresentEntry(), nodes="node-1"))
    async with asyncio.timeout(20):
        # Until it is driven, and then until it is not any more.
        for driven in (False, True):
            while bool(room.world.supervisor._driven) is driven:  # noqa: ASYNC110 - nobody sets an event
                await asyncio.sleep(0.01)
    if lost:
        assert (room.workshop.power.did, room.machines["node-1"].boots_done) == ([], 0)
        reboot.cancel()
        await asyncio.gather(reboot, return_exceptions=True)
    else:
        await reboot
        assert room.workshop.power.did == [("node-1", RebootLevel.HARD.value)]
