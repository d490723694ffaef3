"""Deployers whose hosts' clocks go wrong by a day, in processes of their own: the clock is put wrong by libfaketime."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kadeploy_deployer.domain.deployment import Deployment
from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.ports.store_values import DeploymentFilter
from tests.fakes.deployer_process import process_world
from tests.fakes.deployment_world import World

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

ROOT = Path(__file__).parents[4]
SECONDS = 30.0
LEASE = 3.0
NODES = 2
DAY = 86400

Start = Callable[[str, str], "subprocess.Popen[bytes]"]


def library() -> Path:
    """Returns the library that puts a process's clock wrong."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "Debian's package faketime is not installed: run lab/setup-host"
    return found[0]


class Host:
    """A host with a clock that a test puts wrong, for all deployers on it at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._offset = directory / "clock"
        self.running: list[subprocess.Popen[bytes]] = []
        self.put_wrong(0)

    def put_wrong(self, seconds: int) -> None:
        """Moves the clock so far from the right time."""
        written = self.directory / "clock.new"
        written.write_text(f"{seconds:+d}s\n")
        written.replace(self._offset)

    def start(self, hangs_in: str, what: str) -> "subprocess.Popen[bytes]":
        """Starts a deployer that hangs in a step, if one is named."""
        settings = {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_CACHE_DURATION": "1",
            # The clocks that never jump are those of the kernel, as ever.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        command = [
            sys.executable,
            "-m",
            "tests.fakes.deployer_process",
            str(self.directory),
            hangs_in,
            what,
            str(LEASE),
        ]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | settings)
        self.running.append(process)
        return process


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Yields a host; ends its deployers."""
    made = Host(tmp_path)
    yield made
    for process in made.running:
        process.kill()
        process.wait(timeout=SECONDS)


async def hangs(host: Host) -> World:
    """Waits until a deployer hangs in its step, and returns a view on its database."""
    async with asyncio.timeout(SECONDS):
        while len(list(host.directory.glob("hangs-*"))) < NODES:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)
    return process_world(host.directory)


async def only(world: World) -> Deployment:
    """Returns the one deployment that there is."""
    (found,) = await world.store.list_deployments(DeploymentFilter(), after=None, limit=9)
    return found


@pytest.mark.parametrize("wrong", [DAY, -DAY], ids=["a day ahead", "a day back"])
async def test_what_a_deployer_with_a_wrong_clock_left_is_taken_over_when_the_clock_is_right(
    host: Host, wrong: int
) -> None:
    host.put_wrong(wrong)
    dead = host.start("write", "create")
    view = await hangs(host)
    await asyncio.sleep(LEASE)
    dead.kill()
    dead.wait(timeout=SECONDS)
    assert abs((await only(view)).create_time - time.time() - wrong) < SECONDS

    host.put_wrong(0)
    host.start("", "take-over")
    deployment = await view.finished((await only(view)).id, within=SECONDS)
    view.database.close()
    assert (deployment.state, deployment.fence) == (DeploymentState.TERMINATED, 2)


@pytest.mark.parametrize("wrong", [DAY, -DAY], ids=["a day ahead", "a day back"])
async def test_a_clock_that_jumps_takes_nothing_from_the_living_and_keeps_nothing_for_the_dead(
    host: Host, wrong: int
) -> None:
    living = host.start("write", "create")
    view = await hangs(host)
    host.start("", "take-over")
    await asyncio.sleep(2 * LEASE)
    host.put_wrong(wrong)
    # This one has never seen another time.
    host.start("", "take-over")
    await asyncio.sleep(4 * LEASE)
    before = await only(view)
    assert (before.state, before.fence) == (DeploymentState.DEPLOYING, 1)

    living.kill()
    living.wait(timeout=SECONDS)
    deployment = await view.finished(before.id, within=SECONDS)
    view.database.close()
    assert (deployment.state, deployment.fence) == (DeploymentState.TERMINATED, 2)
    # The time jumped while it was driven.
    assert abs((deployment.end_time or 0.0) - time.time() - wrong) < SECONDS
