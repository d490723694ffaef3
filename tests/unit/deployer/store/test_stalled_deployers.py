"""A deployer that stood still for longer than its lease wakes up when its nodes are somebody else's, on each engine."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.ports.store_values import DeploymentFilter
from kadeploy_deployer.store.database import Database
from tests.fakes.deployment_world import World, new_deployment
from tests.fakes.scripted_step import ScriptedStep, straight_plan
from tests.fakes.stalled_deployer import CUTS_BEFORE, LEASE_SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

ROOT = Path(__file__).parents[4]
SECONDS = 30.0

Stalled = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def stalled(url: URL, tmp_path: Path) -> Iterator[Stalled]:
    """Yields a function that starts a deployer and returns it when it has stopped itself."""
    running = []

    def start(kind: str) -> "subprocess.Popen[bytes]":
        text = url.render_as_string(hide_password=False)
        command = [sys.executable, "-m", "tests.fakes.stalled_deployer", kind, text, str(tmp_path)]
        process = subprocess.Popen(command, cwd=ROOT)
        running.append(process)
        # The state stands behind the name, in which anything may stand.
        until(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        return process

    yield start
    for process in running:
        process.kill()
        process.wait(timeout=SECONDS)


def until(true: Callable[[], bool]) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def cuts(directory: Path) -> int:
    """Returns how often the power of node1 was cut."""
    return len((directory / "cuts").read_text().split())


async def wake(process: "subprocess.Popen[bytes]", directory: Path) -> None:
    """Lets a stopped deployer go on until it has given its work up."""
    process.send_signal(signal.SIGCONT)
    await asyncio.to_thread(until, (directory / "over").exists)
    assert await asyncio.to_thread(process.wait, SECONDS) == 0


async def test_it_cuts_no_power_of_nodes_that_another_deployment_has(
    stalled: Stalled, database: Database, tmp_path: Path
) -> None:
    process = await asyncio.to_thread(stalled, "deployment")
    assert cuts(tmp_path) == CUTS_BEFORE
    successor = World(database=database, plan=straight_plan(), lease_seconds=LEASE_SECONDS)
    (orphan,) = await successor.store.list_deployments(DeploymentFilter(), after=None, limit=9)
    successor.supervisor.open()
    assert (await successor.finished(orphan.id, within=SECONDS)).state is DeploymentState.TERMINATED
    held = asyncio.Event()
    step = ScriptedStep("write", holds=held)
    heir = World(database=database, plan=straight_plan(write=step))
    theirs = await heir.create()
    await step.entered.wait()

    await wake(process, tmp_path)

    assert cuts(tmp_path) == CUTS_BEFORE
    held.set()
    assert (await heir.finished(theirs.id)).state is DeploymentState.TERMINATED
    await successor.supervisor.close()
    await heir.supervisor.close()


async def test_it_cuts_no_power_of_nodes_that_its_operation_has_lost(
    stalled: Stalled, database: Database, tmp_path: Path
) -> None:
    process = await asyncio.to_thread(stalled, "reboot")
    world = World(database=database, plan=straight_plan())
    world.supervisor.open()
    async with asyncio.timeout(SECONDS):
        while await world.store.holders(["node-1"]):  # noqa: ASYNC110 - another process holds it
            await asyncio.sleep(0.05)
    created = await world.store.create(new_deployment("d-1", ["node-1"]))
    assert await world.store.holders(["node-1"]) == {"node-1": created.deployment_id}  # type: ignore[union-attr]

    await wake(process, tmp_path)

    assert cuts(tmp_path) == CUTS_BEFORE
    assert await world.store.holders(["node-1"]) == {"node-1": "d-1"}
    await world.supervisor.close()


async def test_it_goes_on_if_nobody_has_taken_its_work(stalled: Stalled, database: Database, tmp_path: Path) -> None:
    process = await asyncio.to_thread(stalled, "deployment")
    await asyncio.sleep(LEASE_SECONDS * 2)
    process.send_signal(signal.SIGCONT)
    await asyncio.to_thread(until, lambda: cuts(tmp_path) > CUTS_BEFORE)
    (found,) = await World(database=database, plan=[]).store.list_deployments(DeploymentFilter(), after=None, limit=9)
    # It may have given the lease up for a moment, and taken it again.
    assert (found.state, found.fence in {1, 2}) == (DeploymentState.DEPLOYING, True)
