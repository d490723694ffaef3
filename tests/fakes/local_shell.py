"""A shell whose nodes are this machine: commands run as local processes, which tests may kill or stop."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress

from kadeploy_deployenv.system import NODE_PACKAGES, node_program
from kadeploy_deployer.ports import (
    LAST_OUTPUT_BYTES,
    CommandResult,
    CommandTimedOut,
    NodeUnreachable,
    OnPart,
    ShellHost,
    UnprovedResult,
)

# The real program of the nodes, on this machine.
KABROADCAST = (sys.executable, "-c", node_program("kabroadcast", str(NODE_PACKAGES["kabroadcast"][1].parent)))

_GOODBYE_SECONDS = 1.0


class LocalShell:
    """Runs `programs[arguments[0]]` in place of a node's program; `programs_of` is asked first, by node.

    When a session ends early its program finds its standard input at the end, as under sshd, and is killed only when it
    does not heed that: `killed` names those nodes.
    """

    def __init__(self, programs: Mapping[str, Sequence[str]]) -> None:
        self.programs = dict(programs)
        self.programs_of: dict[str, Sequence[str]] = {}
        self.unreachable: set[str] = set()
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.killed: set[str] = set()
        self.lines: dict[str, list[str]] = {}

    async def run(
        self,
        host: ShellHost,
        arguments: Sequence[str],
        *,
        timeout: float,
        stdin: bytes | AsyncIterator[bytes] = b"",
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        on_part: OnPart | None = None,
    ) -> CommandResult:
        """As in the port, but for `on_part`: nobody who works with this shell uses it."""
        assert on_part is None
        self._reach(host)
        program = self.programs_of.get(host.name) or self.programs.get(arguments[0], arguments[:1])
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *program, *arguments[1:], stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )
        self.processes[host.name] = process
        feeding = asyncio.create_task(_feed(process, stdin))
        try:
            async with asyncio.timeout(timeout):
                stdout, stderr = await asyncio.gather(
                    self._read(host.name, process.stdout, on_line), self._read(host.name, process.stderr, None)
                )
                status = await process.wait()
        except TimeoutError:
            raise CommandTimedOut(f"{arguments[0]} on {host.name} did not end within {timeout:g} s") from None
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await self._end(host.name, process)
        return CommandResult(exit_status=status if status >= 0 else 128 - status, stdout=stdout, stderr=stderr)

    async def run_unproved(self, host: ShellHost, arguments: Sequence[str], *, timeout: float) -> UnprovedResult:
        """As in the port; the host's first key is the one that is proved."""
        return UnprovedResult(host_key=host.host_keys[0], result=await self.run(host, arguments, timeout=timeout))

    async def forget(self, host: ShellHost) -> None:
        """As in the port."""

    async def local_address(self, host: ShellHost) -> str:
        """As in the port."""
        self._reach(host)
        return "127.0.0.1"

    async def close(self) -> None:
        """As in the port."""

    def _reach(self, host: ShellHost) -> None:
        if host.name in self.unreachable:
            raise NodeUnreachable(f"{host.name} does not answer on {host.address} port {host.port}")

    async def _read(self, node: str, reader: asyncio.StreamReader | None, on_line: Callable[[str], None] | None) -> str:
        assert reader is not None
        content = b""
        async for line in reader:
            content += line
            if on_line is not None:
                self.lines.setdefault(node, []).append(line.decode())
                on_line(line.decode(errors="replace").rstrip("\n"))
        return content[-LAST_OUTPUT_BYTES:].decode(errors="replace")

    async def _end(self, node: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        process.stdin.close()
        # Not asyncio.timeout(): that would not end in time in a task that is being cancelled.
        ending = asyncio.ensure_future(process.wait())
        await asyncio.wait([ending], timeout=_GOODBYE_SECONDS)
        if not ending.done():
            self.killed.add(node)
            process.kill()
        await ending


async def _feed(process: asyncio.subprocess.Process, stdin: bytes | AsyncIterator[bytes]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError, ConnectionError):
        if isinstance(stdin, bytes):
            process.stdin.write(stdin)
        else:
            async for part in stdin:
                process.stdin.write(part)
                await process.stdin.drain()
    process.stdin.close()
