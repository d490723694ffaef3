"""Whose clock judges a lease: the database's, on each engine, whatever the clocks of the hosts say."""

import asyncio
import time

import pytest

from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.database_clock import DatabaseClock
from tests.fakes.deployment_world import World
from tests.fakes.scripted_step import ScriptedStep, straight_plan

pytestmark = pytest.mark.integration

HOUR = 3600.0
LEASE_SECONDS = 1.5


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
async def test_it_is_the_time_of_the_database_and_not_of_the_host(
    wrong: float, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + wrong)
    clock = DatabaseClock(database)
    assert await clock.synchronise() == 0.0
    assert clock.now() == pytest.approx(right(), abs=1.0)


async def test_a_deployer_whose_host_is_an_hour_ahead_takes_nothing_from_the_living(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = DatabaseClock(database)
    await clock.synchronise()
    step = ScriptedStep("write", holds=(held := asyncio.Event()))
    living = World(database=database, plan=straight_plan(write=step), clock=clock, lease_seconds=LEASE_SECONDS)
    living.supervisor.open()
    created = await living.create()
    await step.entered.wait()

    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + HOUR)
    ahead = DatabaseClock(database)
    await ahead.synchronise()
    other = World(database=database, plan=straight_plan(), clock=ahead, lease_seconds=LEASE_SECONDS)
    other.supervisor.open()
    await asyncio.sleep(LEASE_SECONDS)
    held.set()
    deployment = await living.finished(created.id)
    await other.supervisor.close()
    await living.supervisor.close()

    assert (deployment.state, deployment.fence) == (DeploymentState.TERMINATED, 1)
