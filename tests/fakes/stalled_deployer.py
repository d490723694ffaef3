"""A deployer that stands still in the middle of its work: `python -m tests.fakes.stalled_deployer KIND URL DIRECTORY`.

KIND is "deployment" or "reboot". It cuts the power of node1 by a real command, again and again; at the third time it
stops itself (SIGSTOP) and goes on where it stopped when somebody wakes it. Each cut is a line in the file `cuts` of the
directory; the file `over` says that this process has given its work up.
"""

import asyncio
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from typing_extensions import override

from kadeploy_deployer.adapters.power_commands import CommandPower
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import CommandSnapshot, NodeSnapshot
from kadeploy_deployer.domain.states import PartitionState, PowerAction, RebootLevel
from kadeploy_deployer.requests.operations import OperationRequest, RequestName, start
from kadeploy_deployer.requests.power import power_change
from kadeploy_deployer.steps.step import StepContext
from kadeploy_deployer.store import database as database_room
from kadeploy_deployer.store.database import Database
from tests.fakes.control_room import ALICE, ControlRoom
from tests.fakes.deployment_world import WallClock, World, node
from tests.fakes.fake_power import FakePower
from tests.fakes.scripted_step import ScriptedStep, straight_plan

LEASE_SECONDS = 1.5
CUTS_BEFORE = 3

_between_transactions = threading.Lock()


def _never_stopped_inside(transact: Any) -> Any:
    # A stopped process would hold the lock of SQLite's file, and there would be nothing to see for anybody.
    def transacted(*call: Any) -> Any:
        with _between_transactions:
            return transact(*call)

    return transacted


async def cut_on_and_on(directory: Path) -> None:
    """Cuts the power of node1 until somebody says no."""
    arguments = ("sh", "-c", f"echo cut >>{directory}/cuts")
    machine = replace(node("node1"), commands=CommandSnapshot(hard_reboot=arguments))
    power, done = CommandPower(), 0
    while True:
        await power.reboot(machine, RebootLevel.HARD)
        done += 1
        if done == CUTS_BEFORE:
            with _between_transactions:
                os.kill(os.getpid(), signal.SIGSTOP)


class Cutting(ScriptedStep):
    """The first step of the deployment."""

    def __init__(self, directory: Path) -> None:
        super().__init__("boot", PartitionState.TO_DEPLOY)
        self._directory = directory

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        """As in the protocol."""
        if node == "node1":
            await cut_on_and_on(self._directory)
        return context.facts[node]


async def deploy(database: Database, directory: Path) -> None:
    """Drives a deployment until it is given up."""
    world = World(database=database, plan=straight_plan(boot=Cutting(directory)), lease_seconds=LEASE_SECONDS)
    world.supervisor.open()
    created = await world.create()
    # Given up for a moment it may still take its own work up again.
    while world.supervisor._driven or (await world.store.get(created.id)).driver == world.supervisor.driver:  # noqa: ASYNC110 - nobody sets an event
        await asyncio.sleep(0.05)


async def reboot(database: Database, directory: Path) -> None:
    """Drives an operation until it is given up."""
    room = ControlRoom(directory, "node-1", database=database, clock=WallClock(), power=CuttingPower(directory))
    room.known.clear()
    world, parts = room.deployer(lease_seconds=LEASE_SECONDS)
    world.supervisor.open()
    request = OperationRequest(owner="alice", name=RequestName(owner="alice", request_id="r-1", fingerprint="f"))
    prepare = power_change("node-1", PowerAction.CYCLE, RebootLevel.HARD, actor=ALICE, parts=parts, request=request)
    await start(request, prepare, actor=ALICE, parts=parts)
    while world.supervisor._driven:  # noqa: ASYNC110 - nobody sets an event
        await asyncio.sleep(0.05)


class CuttingPower(FakePower):
    """Cuts on and on where it is to cut once."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    @override
    async def reboot(self, node: NodeSnapshot, level: RebootLevel) -> None:
        await cut_on_and_on(self._directory)


def main(kind: str, url: str, directory: Path) -> None:
    """Runs until the work is given up."""
    room = cast("Any", database_room)
    room._transact = _never_stopped_inside(room._transact)
    database = Database(url)
    asyncio.run({"deployment": deploy, "reboot": reboot}[kind](database, directory))
    (directory / "over").touch()
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
