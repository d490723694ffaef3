"""Leases, take-over and resumption, with processes that are really killed."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.domain.states import BusyPolicy, DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.engine import lease_holder
from kadeploy_deployer.ports.store_values import DeploymentFilter
from kadeploy_deployer.store.database import Database
from tests.fakes.deployer_process import STEPS, process_world
from tests.fakes.deployment_world import SPEC, World, make_database, new_deployment, resolution
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.scripted_step import ScriptedStep, straight_plan
from tests.fakes.until import until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[4]


def killed_while_in(step: str, directory: Path) -> None:
    """Runs a deployer until it hangs in a step, and kills it there without warning."""
    hanging = [directory / "hangs-node1", directory / "hangs-node2"]
    for file in hanging:
        file.unlink(missing_ok=True)
    create = "take-over" if (directory / "runs").exists() else "create"
    command = [sys.executable, "-m", "tests.fakes.deployer_process", str(directory), step, create]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        deadline = time.monotonic() + 15
        while not all(file.exists() for file in hanging):
            assert process.poll() is None, "the deployer ended by itself"
            assert time.monotonic() < deadline, "the deployer never came to its step"
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)


@pytest.mark.parametrize("step", STEPS)
async def test_a_deployment_whose_deployer_was_killed_ends_as_if_nothing_had_happened(
    step: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(killed_while_in, step, tmp_path)
    world = process_world(tmp_path)
    (orphan,) = await world.store.list_deployments(_ALL, after=None, limit=9)
    assert orphan.state is DeploymentState.DEPLOYING
    assert {node.step for node in (await world.store.get(orphan.id)).nodes} == {step}

    world.supervisor.open()
    deployment = await world.finished(orphan.id)
    await world.supervisor.close()
    world.database.close()

    assert deployment.state is DeploymentState.TERMINATED
    assert {node.state for node in deployment.nodes} == {PartitionState.DEPLOYED}
    assert deployment.fence == 2
    names = list(STEPS)
    expected = [*names[: names.index(step) + 1], *names[names.index(step) :]]
    runs = [line.split() for line in (tmp_path / "runs").read_text().splitlines()]
    for node in ("node1", "node2"):
        assert [name for name, of in runs if of == node] == expected
    # What was learned before the end of the first process was not lost.
    assert deployment.nodes[0].facts.kernel_command_line == "".join(f"{name};" for name in names)
    assert [record.step for record in deployment.nodes[0].steps] == names


async def test_a_deployment_survives_the_death_of_several_deployers(tmp_path: Path) -> None:
    for step in ("boot", "reboot"):
        await asyncio.to_thread(killed_while_in, step, tmp_path)
    world = process_world(tmp_path)
    (orphan,) = await world.store.list_deployments(_ALL, after=None, limit=9)

    world.supervisor.open()
    deployment = await world.finished(orphan.id)
    await world.supervisor.close()
    world.database.close()

    assert (deployment.state, deployment.fence) == (DeploymentState.TERMINATED, 3)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


async def test_a_deployer_that_stops_in_good_order_hands_its_deployments_over_at_once(database: Database) -> None:
    step = ScriptedStep("write", holds=asyncio.Event())
    first = World(database=database, plan=straight_plan(write=step))
    created = await first.create()
    await until(lambda: len(step.runs) == 2)
    await first.supervisor.close()
    left = await first.store.get(created.id)

    second = World(database=database, plan=straight_plan())
    second.supervisor.open()
    deployment = await second.finished(created.id, within=5)
    await second.supervisor.close()

    assert (left.state, left.driver) == (DeploymentState.DEPLOYING, "")
    assert {node.step for node in left.nodes} == {"write"}
    assert step.stopped == 2
    assert deployment.state is DeploymentState.TERMINATED


async def test_a_deployer_that_lost_its_lease_stops_its_work_and_writes_nothing(database: Database) -> None:
    step = ScriptedStep("write", holds=asyncio.Event())
    slow = World(database=database, plan=straight_plan(write=step), lease_seconds=0.6)
    created = await slow.create()
    await step.entered.wait()
    (lease,) = await slow.claim_all("other")

    slow.supervisor.open()
    await asyncio.wait_for(step.halted.wait(), 5)
    await slow.supervisor.close()

    deployment = await slow.store.get(created.id)
    assert (deployment.driver, deployment.fence) == ("other", lease.fence)
    assert [node.state for node in deployment.nodes] == [PartitionState.DEPLOYING] * 2


async def test_a_deployer_that_cannot_renew_its_lease_stops_its_work_when_it_has_expired(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = ScriptedStep("write", holds=asyncio.Event())
    world = World(database=database, plan=straight_plan(write=step), lease_seconds=0.6)

    async def never(*_call: object, **_keys: object) -> frozenset[str]:
        await asyncio.sleep(3600)
        return frozenset()

    monkeypatch.setattr(world.store, "renew", never)
    created = await world.create()
    await step.entered.wait()
    world.supervisor.open()
    await asyncio.wait_for(step.halted.wait(), 5)
    await world.supervisor.close()

    assert (await world.store.get(created.id)).state is DeploymentState.DEPLOYING


async def test_a_cancellation_reaches_the_process_that_drives(database: Database) -> None:
    step = ScriptedStep("write", holds=asyncio.Event())
    driving = World(database=database, plan=straight_plan(write=step), lease_seconds=0.6)
    driving.supervisor.open()
    created = await driving.create()
    await step.entered.wait()

    elsewhere = World(database=database, plan=straight_plan())
    await elsewhere.store.request_cancel(created.id, reason="cancelled by root", now=time.time())
    deployment = await driving.finished(created.id)
    await driving.supervisor.close()

    assert {node.reason for node in deployment.nodes} == {FailureReason.CANCELLED}


async def test_a_cancelled_deployment_whose_deployer_died_is_ended_by_the_next(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    await world.store.create(new_deployment("orphan", ["node1"], lease_seconds=0.0))
    await world.store.request_cancel("orphan", reason="cancelled by alice", now=time.time())

    world.supervisor.open()
    deployment = await world.finished("orphan")
    await world.supervisor.close()

    assert deployment.state is DeploymentState.ERROR
    assert deployment.description.startswith("cancelled by alice")
    assert world.plan[0].runs == []  # type: ignore[attr-defined]


async def test_a_deployment_that_nobody_can_bring_to_an_end_is_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_holder, "MOST_DRIVERS", 1)
    world = World(database=database, plan=straight_plan())
    await world.store.create(new_deployment("orphan", ["node1"], lease_seconds=0.0))

    world.supervisor.open()
    deployment = await world.finished("orphan")
    await world.supervisor.close()

    assert deployment.nodes[0].reason is FailureReason.LEASE_LOST
    assert await world.store.holders(["node1"]) == {}


async def test_a_waiting_deployment_begins_when_its_nodes_are_free(database: Database) -> None:
    step = ScriptedStep("write", holds=(held := asyncio.Event()))
    holder = World(database=database, plan=straight_plan(write=step))
    first = await holder.create()
    await step.entered.wait()
    waiting = World(database=database, plan=straight_plan(), inventory=FakeInventory(resolution(("node2", "node3"))))
    spec = _replace_spec(wait_timeout=20.0)

    second = await waiting.create(spec)
    held.set()
    await holder.finished(first.id)
    deployment = await waiting.finished(second.id)

    assert second.state is DeploymentState.WAITING
    assert deployment.state is DeploymentState.TERMINATED


async def test_a_deployment_that_waits_in_vain_ends_in_error_and_touches_no_partition(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    await world.store.create(new_deployment("holder", ["node1"]))

    deployment = await world.run(_replace_spec(wait_timeout=0.2))

    assert deployment.state is DeploymentState.ERROR
    assert "did not become free" in deployment.description
    assert {node.reason for node in deployment.nodes} == {FailureReason.BUSY}
    partitions = await world.store.list_partitions([], after=None, limit=9)
    assert [one.deployment_id for one in partitions] == ["holder"]
    assert await world.store.holders(["node2"]) == {}


def _replace_spec(*, wait_timeout: float) -> DeploymentSpec:
    return replace(SPEC, busy_policy=BusyPolicy.WAIT, wait_timeout=wait_timeout)


_ALL = DeploymentFilter()
