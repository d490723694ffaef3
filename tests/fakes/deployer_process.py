"""A whole deployer with scripted steps in a process of its own, to be killed: `python -m tests.fakes.deployer_process`.

Arguments: the directory with the database, the step that never ends, whether to create a deployment, and how long a
lease lasts. Every run of a step is noted in the directory, and when the process hangs in its step, it says so in a
file. Its time is the database's.
"""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.states import PartitionState
from kadeploy_deployer.steps.step import StepContext
from kadeploy_deployer.store.database_clock import DatabaseClock
from tests.fakes.deployment_world import World, make_database
from tests.fakes.scripted_step import ScriptedStep

LEASE_SECONDS = 0.9
STEPS = {
    "boot": PartitionState.TO_DEPLOY,
    "write": PartitionState.DEPLOYING,
    "reboot": PartitionState.REBOOTING,
}


class NotedStep(ScriptedStep):
    """Notes each run in a file and hangs if it is told to; learns a boot id of each node."""

    def __init__(self, name: str, directory: Path, *, hangs: bool) -> None:
        super().__init__(name, STEPS[name])
        self._directory = directory
        self._hangs = hangs

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        """As in the protocol."""
        with (self._directory / "runs").open("a", encoding="utf-8") as runs:
            runs.write(f"{self.name} {node}\n")
        if self._hangs:
            (self._directory / f"hangs-{node}").touch()
            await asyncio.sleep(3600)
        facts = context.facts[node]
        return replace(facts, kernel_command_line=f"{facts.kernel_command_line}{self.name};")


def process_world(directory: Path, hanging: str = "", lease_seconds: float = LEASE_SECONDS) -> World:
    """Returns a deployer on the database of a directory."""
    plan = [NotedStep(name, directory, hangs=name == hanging) for name in STEPS]
    database = make_database(directory)
    return World(database=database, plan=plan, lease_seconds=lease_seconds, clock=DatabaseClock(database))


async def _main(directory: Path, hanging: str, create: bool, lease_seconds: float) -> None:
    world = process_world(directory, hanging, lease_seconds)
    await world.clock.synchronise()
    world.supervisor.open()
    if create:
        await world.create()
    await asyncio.sleep(60)


if __name__ == "__main__":
    lease = float(sys.argv[4]) if sys.argv[4:] else LEASE_SECONDS
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "create", lease))
