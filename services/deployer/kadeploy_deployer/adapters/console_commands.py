"""Consoles by the command templates of the nodes: ipmitool, conman, ssh, whatever the site has.

Each command runs on a terminal of its own in raw mode, in a session of its own, and ends with the attachment.
"""

import asyncio
import contextlib
import os
import signal
import termios
import tty

from typing_extensions import override

from kadeploy_deployer.adapters.command_template import UnknownPlaceholder, filled
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.ports import Console, ConsoleError, ConsoleLine

READ_BYTES = 16 * 1024
AFTER_KILL_SECONDS = 2.0


class CommandConsole(Console):
    """Runs the console commands of nodes on this host, without a shell."""

    @override
    async def attach(self, node: NodeSnapshot) -> "TerminalLine":
        template = node.commands.console
        if not template:
            raise ConsoleError(f"{node.name} has no console command")
        try:
            arguments = filled(template, node)
        except UnknownPlaceholder as error:
            raise ConsoleError(f"the console command of {node.name} cannot be run: {error}") from error
        ours, theirs = os.openpty()
        try:
            # What is typed goes through as it is: Ctrl-C is for the node.
            tty.setraw(theirs, termios.TCSANOW)
            process = await asyncio.create_subprocess_exec(
                *arguments, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
            )
        except OSError as error:
            os.close(ours)
            text = f"{arguments[0]}: {error.strerror}"
            raise ConsoleError(f"the console command of {node.name} cannot be run: {text}") from error
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return TerminalLine(process, ours)


class TerminalLine(ConsoleLine):
    """Our end of the terminal on which a console command runs."""

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.process = process
        self._descriptor = descriptor
        self._closed = False

    @override
    async def read(self) -> bytes:
        """What the command does not get rid of waits in the terminal, so nothing piles up here."""
        while not self._closed:
            try:
                return os.read(self._descriptor, READ_BYTES)
            except BlockingIOError:
                await self._wait(for_reading=True)
            except OSError:
                # The command has ended, and with it the other end of the terminal.
                return b""
        return b""

    @override
    async def write(self, data: bytes) -> None:
        while data and not self._closed:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                await self._wait(for_reading=False)
            except OSError:
                return

    @override
    async def close(self) -> None:
        """The whole process group is killed: a console command may have children."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        os.close(self._descriptor)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AFTER_KILL_SECONDS):
                await self.process.wait()

    async def _wait(self, *, for_reading: bool) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        add, remove = (loop.add_reader, loop.remove_reader) if for_reading else (loop.add_writer, loop.remove_writer)
        add(self._descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            remove(self._descriptor)
