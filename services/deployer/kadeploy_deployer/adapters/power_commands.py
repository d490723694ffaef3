"""Power by the command templates of the nodes: ipmitool, a script for the power strips, whatever the site has."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Sequence

from typing_extensions import override

from kadeploy_deployer.adapters.command_template import UnknownPlaceholder, filled
from kadeploy_deployer.adapters.shared_runs import SharedRuns
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.ports import Power, PowerError
from kadeploy_nodeset import fold

COMMAND_SECONDS = 50.0
OFF_SECONDS = 3.0
"""Between off and on of a power cycle made of two commands: supplies need a moment to run dry."""
AFTER_KILL_SECONDS = 2.0
KEPT_BYTES = 64 * 1024
SHOWN_CHARACTERS = 200

_ON_OR_OFF = re.compile(r"\b(on|off)\b", re.IGNORECASE)


class CommandPower(Power):
    """Runs command templates on this host, without a shell, each in a process group of its own."""

    def __init__(
        self, *, timeout: float = COMMAND_SECONDS, commands_at_once: int = 100, off_seconds: float = OFF_SECONDS
    ) -> None:
        """Sets the bounds: seconds of one command, how many run at a time, seconds without power in a cycle."""
        self._timeout = timeout
        self._window = asyncio.Semaphore(commands_at_once)
        self._off_seconds = off_seconds
        self._shared = SharedRuns()

    @override
    async def is_on(self, node: NodeSnapshot) -> bool | None:
        if not node.commands.power_status:
            return None
        output = await self._run(node, "power_status", node.commands.power_status)
        found: list[str] = _ON_OR_OFF.findall(output)
        if not found:
            raise PowerError(f"power_status of {node.name} says neither on nor off: {_shown(output)}")
        # "Chassis Power is on": the last word counts, what stands before may be a name.
        return found[-1].lower() == "on"

    @override
    async def reboot(self, node: NodeSnapshot, level: RebootLevel) -> None:
        commands = node.commands
        if commands.power_on and await self.is_on(node) is False:
            await self.power_on(node)
        elif level is RebootLevel.SOFT:
            await self._run(node, "soft_reboot", commands.soft_reboot)
        elif level is RebootLevel.HARD:
            await self._run(node, "hard_reboot", commands.hard_reboot)
        elif commands.very_hard_reboot:
            await self._run(node, "very_hard_reboot", commands.very_hard_reboot)
        else:
            await self.power_off(node)
            await asyncio.sleep(self._off_seconds)
            await self.power_on(node)

    @override
    async def power_on(self, node: NodeSnapshot) -> None:
        await self._run(node, "power_on", node.commands.power_on)

    @override
    async def power_off(self, node: NodeSnapshot) -> None:
        await self._run(node, "power_off", node.commands.power_off)

    async def _run(self, node: NodeSnapshot, word: str, template: Sequence[str]) -> str:
        if not template:
            raise PowerError(f"{node.name} has no {word} command")
        if word in node.group_commands and word != "power_on" and node.power_sharers:
            raise PowerError(
                f"{word} of {node.name} is not run: it would take the power of {fold(node.power_sharers)}, too"
            )
        try:
            arguments = filled(template, node)
        except UnknownPlaceholder as error:
            raise PowerError(f"{word} of {node.name} cannot be run: {error}") from error
        if word in node.group_commands:
            return await self._shared.run(arguments, lambda: self.run(node, word, arguments))
        return await self.run(node, word, arguments)

    async def run(self, node: NodeSnapshot, word: str, arguments: Sequence[str]) -> str:
        """Runs an argument list for a node and returns the last that it printed.

        Args:
            node: for sentences.
            word: what it is for; "power_status" changes nothing and needs no lease.
            arguments: the program with its arguments.

        Raises:
            PowerError: it cannot be run, failed, or did not end in time.
        """
        async with self._window:
            if word != "power_status":
                await pass_fence()
            status, output = await self._execute(node, word, arguments)
        if status:
            raise PowerError(f"{word} of {node.name} failed with exit status {status}: {_shown(output)}")
        return output

    async def _execute(self, node: NodeSnapshot, word: str, arguments: Sequence[str]) -> tuple[int, str]:
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise PowerError(f"{word} of {node.name} cannot be run: {arguments[0]}: {error.strerror}") from error
        try:
            async with asyncio.timeout(self._timeout):
                output = await _last_output(process)
                status = await process.wait()
        except TimeoutError:
            raise PowerError(f"{word} of {node.name} did not end within {self._timeout:g} s and was killed") from None
        finally:
            await _kill_group(process)
        return status, output


async def _last_output(process: asyncio.subprocess.Process) -> str:
    reader = process.stdout
    kept = b""
    while reader is not None and (part := await reader.read(KEPT_BYTES)):
        kept = (kept + part)[-KEPT_BYTES:]
    return kept.decode(errors="replace")


async def _kill_group(process: asyncio.subprocess.Process) -> None:
    """Ends a command with all that it started, if anything of it still runs."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # Something that left the group may hold the pipe for ever; it is not waited for.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(AFTER_KILL_SECONDS):
            await _last_output(process)
            await process.wait()


def _shown(output: str) -> str:
    """Returns the last line that was printed: commands say last what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:SHOWN_CHARACTERS] if lines else "it printed nothing"
