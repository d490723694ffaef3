"""Requests that queue in several deployers at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.domain.errors import AnotherDeploymentWaiting
from kadeploy_deployer.domain.states import BusyPolicy, DeploymentState
from kadeploy_deployer.ports.store_values import Created, NewDeployment, Queued
from kadeploy_deployer.requests import deployments
from tests.fakes.deployment_world import SPEC, World, make_database, new_deployment, resolution
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.scripted_step import straight_plan

pytestmark = pytest.mark.integration

WAITS = replace(SPEC, busy_policy=BusyPolicy.WAIT, wait_timeout=30.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks often."""
    monkeypatch.setattr(deployments, "TURN_POLL", 0.02)


@pytest.fixture
async def worlds(tmp_path: Path) -> AsyncIterator[Sequence[World]]:
    """Yields three deployers on one database. "holder" has node0; "first" waits for it and claims node1."""
    databases = [make_database(tmp_path) for _ in range(3)]
    found = [
        World(database=one, plan=straight_plan(), inventory=FakeInventory(resolution(("node1",)))) for one in databases
    ]
    await found[0].store.create(new_deployment("holder", ["node0"]))
    waiting = new_deployment("first", ["node0", "node1"], busy_policy=BusyPolicy.WAIT, wait_timeout=60.0)
    await found[0].store.create(waiting)
    yield found
    for one in databases:
        one.close()


async def let_the_first_go(world: World) -> None:
    await world.store.request_cancel("first", reason="cancelled by alice", now=world.clock.now())
    leases = await world.claim_all(world.supervisor.driver)
    first = next(lease for lease in leases if lease.deployment_id == "first")
    world.supervisor.start(first, since=world.clock.monotonic())
    await world.finished("first")


async def test_whoever_came_first_to_any_deployer_gets_the_place_first(worlds: Sequence[World]) -> None:
    requests = []
    for world in (worlds[2], worlds[1]):
        requests.append(asyncio.create_task(world.create(WAITS)))
        await asyncio.sleep(0.2)
    assert not any(request.done() for request in requests)

    await let_the_first_go(worlds[0])
    created = await asyncio.gather(*requests)

    ended = [await worlds[0].finished(one.id) for one in created]
    assert [one.state for one in ended] == [DeploymentState.TERMINATED] * 2
    assert created[0].create_time < created[1].create_time


async def test_who_waits_in_vain_is_told_who_held_the_place_and_leaves_the_queue(worlds: Sequence[World]) -> None:
    with pytest.raises(AnotherDeploymentWaiting, match="deployment first of alice is waiting"):
        await worlds[1].create(replace(WAITS, wait_timeout=0.3))

    await let_the_first_go(worlds[0])
    assert (await worlds[2].run()).state is DeploymentState.TERMINATED


async def test_who_hangs_up_leaves_the_queue(worlds: Sequence[World]) -> None:
    request = asyncio.create_task(worlds[1].create(WAITS))
    await asyncio.sleep(0.2)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)

    await let_the_first_go(worlds[0])
    assert (await worlds[2].run()).state is DeploymentState.TERMINATED


async def test_who_hangs_up_before_he_has_a_place_leaves_none(
    worlds: Sequence[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()
    create = worlds[1].store.create

    async def slow_create(new: NewDeployment) -> Created | Queued:
        asked.set()
        await answered.wait()
        return await create(new)

    monkeypatch.setattr(worlds[1].store, "create", slow_create)
    request = asyncio.create_task(worlds[1].create(WAITS))
    await asyncio.wait_for(asked.wait(), 10.0)
    request.cancel()
    answered.set()
    await asyncio.gather(request, return_exceptions=True)

    await let_the_first_go(worlds[0])
    assert (await worlds[2].run()).state is DeploymentState.TERMINATED
