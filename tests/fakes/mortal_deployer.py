"""A deployer that kills itself at a point of the journal: `python -m tests.fakes.mortal_deployer`.

It reads lines "DIRECTORY POINT" and runs a deployer on the database of the directory for each, in a process of its own
that is forked, because starting Python takes longer than the deployment. The database is SQLite's, or the one whose URL
stands in the file `url`. The point stands in FAIL_POINT of that process: "before enter broadcast", "after end"; it is
that of the first write that has such an entry for any node. "none" lets it live until the deployment has ended. With
" cancelled" behind it the deployment is cancelled in its third step; with " failing", node2 fails that step. It prints
the status that each ended with; -9 is the kill.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.domain.transition import Transition
from kadeploy_deployer.ports.journal_entries import JournalEntry, NodeReleased, OutputEntry
from kadeploy_deployer.ports.store_values import DeploymentFilter
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.steps.step import StepContext
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.deployment_world import WallClock, World, make_database
from tests.fakes.scripted_step import ScriptedStep

CANCELLED_IN = PLAN[2].name
FAIL_POINT = "KADEPLOY_TEST_FAIL_POINT"
LATER = 3600.0
JOURNALS = ("create", "write", "request_cancel", "end")
BROKEN = Failure(reason=FailureReason.FORMAT_FAILED, description="exit 1", retriable=False)


class LaterClock(WallClock):
    """An hour goes by while its user sleeps for the first time: all that time nobody has renewed any lease."""

    def __init__(self) -> None:
        self._later = 0.0

    def monotonic(self) -> float:
        """As in the port."""
        return super().monotonic() + self._later

    async def sleep(self, seconds: float) -> None:
        """As in the port."""
        self._later = LATER
        await super().sleep(seconds)


class NotedStep(ScriptedStep):
    """Notes each run in a file of the directory."""

    def __init__(self, name: str, state: Any, directory: Path) -> None:
        super().__init__(name, state)
        self._runs = directory / "runs"
        self.on_run: Callable[[str], Awaitable[None]] | None = None

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        """As in the protocol."""
        with self._runs.open("a", encoding="utf-8") as runs:
            runs.write(f"{self.name} {node}\n")
        if self.on_run is not None:
            await self.on_run(context.deployment_id)
        await context.recorder.output(node, self.name, f"{self.name} on {node}\n")
        if node == "node2":
            # Not in step with the other, so that the two may be in different steps.
            await asyncio.sleep(0.005)
        return await super().run(context, node)


class Recovery:
    """Notes the nodes that it leaves bootable."""

    def __init__(self, directory: Path) -> None:
        self._left = directory / "left-bootable"

    async def __call__(self, _context: StepContext, node: str) -> None:
        """Leaves a node bootable."""
        with self._left.open("a", encoding="utf-8") as left:
            left.write(f"{node}\n")


class MortalStore(SqlDeploymentStore):
    """Kills the process before or after the call that the fail point names."""

    def __getattribute__(self, name: str) -> Any:
        """Wraps the calls that write the journal."""
        found = super().__getattribute__(name)
        return _mortal(name, found) if name in JOURNALS else found


def _mortal(name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        points = [_point(entry) for entry in arguments[1]] if name == "write" else [name]
        _die_at("before", points)
        answer = await call(*arguments, **named)
        _die_at("after", points)
        return answer

    return wrapped


def _point(entry: JournalEntry) -> str:
    match entry:
        case Transition(after=after) if after.active:
            return f"enter {after.step}"
        case Transition(after=after):
            return f"end in {after.state}"
        case OutputEntry(step=step):
            return f"output {step}"
        case NodeReleased():
            return "release"
        case _:
            return "remark"


def _die_at(moment: str, points: Sequence[str]) -> None:
    if os.environ.get(FAIL_POINT) in [f"{moment} {point}" for point in points]:
        os.kill(os.getpid(), signal.SIGKILL)


def real_plan_world(directory: Path, *, later: bool) -> World:
    """Returns a deployer whose steps have the names and states of the real ones; `later`: after all leases.

    Where the directory has a file `failing`, node2 fails the third step.
    """
    failing = {"node2": [BROKEN]} if (directory / "failing").exists() else {}
    plan = [NotedStep(step.name, step.partition_state, directory) for step in PLAN]
    plan[2]._answers = {node: list(answers) for node, answers in failing.items()}
    url = directory / "url"
    database = Database(url.read_text()) if url.exists() else make_database(directory)
    return World(
        database=database, plan=plan, recover=Recovery(directory), clock=LaterClock() if later else WallClock()
    )


async def _deploy(directory: Path, point: str) -> None:
    os.environ[FAIL_POINT] = point.removesuffix(" cancelled").removesuffix(" failing")
    if point.endswith(" failing"):
        (directory / "failing").touch()
    restarted = (directory / "runs").exists() or point == "none"
    world = real_plan_world(directory, later=restarted)
    mortal = MortalStore(world.database, on_commit=world.log.wake)
    world.store = world.supervisor._store = mortal
    if point.endswith(" cancelled"):
        cancelled = next(step for step in world.plan if step.name == CANCELLED_IN)
        assert isinstance(cancelled, NotedStep)

        async def cancel(deployment_id: str) -> None:
            await mortal.request_cancel(deployment_id, reason="cancelled by alice", now=world.clock.now())
            world.supervisor.cancel(deployment_id)
            await asyncio.sleep(60)

        cancelled.on_run = cancel
    if not restarted:
        await world.create()
    world.supervisor.open()
    async with asyncio.timeout(20):
        while True:
            found = await world.store.list_deployments(DeploymentFilter(), after=None, limit=1)
            if found and found[0].finished:
                break
            await asyncio.sleep(0.01)
    await world.supervisor.close()
    world.database.close()


def main() -> None:
    """Forks a deployer for each line."""
    for line in sys.stdin:
        directory, _, point = line.strip().partition(" ")
        child = os.fork()
        if not child:
            status = 1
            try:
                asyncio.run(_deploy(Path(directory), point))
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
