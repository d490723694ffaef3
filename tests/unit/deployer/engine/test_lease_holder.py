"""What an operation holds when its caller goes in the middle of a write."""

import asyncio

import pytest

from kadeploy_deployer.domain.errors import StoreUnreachable
from kadeploy_deployer.engine.lease_holder import LeaseHolder, taken
from tests.fakes.fake_operation_store import FakeOperationStore
from tests.fakes.manual_clock import ManualClock


async def test_what_is_taken_while_the_caller_leaves_is_given_back() -> None:
    store = FakeOperationStore()
    lease_holder = LeaseHolder(store=store, clock=ManualClock(), lease_seconds=30.0)
    operation = lease_holder.begin("reboot", "alice")
    asked, answered = asyncio.Event(), asyncio.Event()

    async def lock_slowly() -> None:
        asked.set()
        await answered.wait()
        await store.lock_nodes(operation, ["node-1"])

    keeping = asyncio.create_task(lease_holder.keep(operation, taken(lock_slowly())))
    async with asyncio.timeout(10):
        await asked.wait()
        keeping.cancel()
        asyncio.get_running_loop().call_later(0.05, answered.set)
        await asyncio.gather(keeping, return_exceptions=True)
    assert answered.is_set()
    assert store.held == {}


async def test_a_write_that_fails_is_told_to_whoever_is_still_there() -> None:
    async def fail() -> None:
        raise StoreUnreachable("the database does not answer")

    with pytest.raises(StoreUnreachable, match="does not answer"):
        await taken(fail())
