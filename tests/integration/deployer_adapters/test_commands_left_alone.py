"""A command on a node ends, children and all, when the call or the step that wanted it is cancelled; over real SSH."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kadeploy_deployer.adapters.remote_shell_ssh import SshRemoteShell
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.states import PartitionState
from kadeploy_deployer.engine.step_run import run_step
from kadeploy_deployer.ports import CommandResult, ShellHost
from kadeploy_deployer.requests.remote_command import CommandEnd, CommandOutput, run_command
from kadeploy_deployer.steps.deployment_shell import try_command
from kadeploy_deployer.steps.step import StepContext
from tests.fakes.control_room import ALICE, ControlRoom
from tests.fakes.deployment_world import WallClock
from tests.fakes.local_ssh_server import LocalSshServer
from tests.fakes.scripted_step import ScriptedStep
from tests.fakes.step_workshop import Workshop

pytestmark = pytest.mark.integration

SECONDS = 30.0
SCRIPT = 'sleep 300 & echo $! >"$1"; wait'


class EveryNodeIsHere(SshRemoteShell):
    """Reaches one server, whichever node is meant."""

    def __init__(self, server: LocalSshServer) -> None:
        super().__init__(server.private_key_path)
        self._server = server

    async def run(self, host: ShellHost, arguments: Sequence[str], **named: Any) -> CommandResult:
        """As in the port."""
        return await super().run(self._server.host, arguments, **named)


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[EveryNodeIsHere]:
    server = LocalSshServer(tmp_path)
    await server.start()
    shell = EveryNodeIsHere(server)
    yield shell
    await shell.close()
    await server.stop()


async def test_a_cancelled_call_ends_its_command_and_what_that_started(shell: EveryNodeIsHere, tmp_path: Path) -> None:
    room = ControlRoom(tmp_path, "node-1", shell=shell, clock=WallClock())

    async def show(_output: CommandOutput) -> None:
        pass

    def tell(_end: CommandEnd) -> None:
        pass

    call = asyncio.create_task(
        run_command(
            "node-1",
            ("sh", "-c", SCRIPT, "a-script", str(tmp_path / "child")),
            timeout=SECONDS,
            stdin=b"",
            actor=ALICE,
            parts=room.parts,
            show=show,
            tell=tell,
        )
    )
    child = await asyncio.to_thread(begun, tmp_path / "child")
    call.cancel()
    await asyncio.to_thread(gone, child)
    await asyncio.gather(call, return_exceptions=True)
    assert call.cancelled()
    async with asyncio.timeout(SECONDS):
        while await room.held():  # noqa: ASYNC110 - the database sets no event
            await asyncio.sleep(0.02)


class RunsTheScript(ScriptedStep):
    def __init__(self, directory: Path) -> None:
        super().__init__("write", PartitionState.DEPLOYING)
        self._file = directory / "child"

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        arguments = ("sh", "-c", SCRIPT, "a-script", str(self._file))
        await try_command(context, node, arguments, timeout=SECONDS)
        return context.facts[node]


async def test_a_cancelled_step_ends_its_script_and_what_that_started(shell: EveryNodeIsHere, tmp_path: Path) -> None:
    context = Workshop(tmp_path).context()
    # The manual clock would jump to the bound of the step, for it sees no ssh.
    context = replace(context, ports=replace(context.ports, shell=shell, clock=WallClock()))
    acting = asyncio.create_task(run_step(RunsTheScript(tmp_path), context, "node-1"))
    child = await asyncio.to_thread(begun, tmp_path / "child")
    acting.cancel()
    await asyncio.to_thread(gone, child)
    with pytest.raises(asyncio.CancelledError):
        await acting


def begun(file: Path) -> Path:
    """Returns the place in /proc of the process whose number a script has written."""
    deadline = time.monotonic() + SECONDS
    while not (file.exists() and file.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return Path("/proc", file.read_text().strip())


def gone(process: Path) -> None:
    """Returns when a process is no more, or is only not yet heard by its parent."""
    deadline = time.monotonic() + SECONDS
    with suppress(FileNotFoundError, ProcessLookupError):
        while " Z " not in (process / "stat").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
