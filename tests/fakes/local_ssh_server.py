"""A real SSH server on loopback that runs commands on this machine.

As OpenSSH's, it leaves a command alone whose session is closed, and kills one of which it is asked to.
"""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh

from kadeploy_deployer.ports import ShellHost


class LocalSshServer:
    """Lets one key in as root. `host` is what a RemoteShell is told; `connections` counts logins.

    `children`: process groups of the commands that run.
    """

    def __init__(self, directory: Path) -> None:
        self.private_key_path = directory / "client_key"
        self.connections = 0
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._client_key = asyncssh.generate_private_key("ssh-ed25519")
        self._client_key.write_private_key(self.private_key_path)
        self._open: set[asyncssh.SSHServerConnection] = set()
        self._running: set[asyncio.Task[Any] | None] = set()
        self.children: set[int] = set()
        self._server: asyncssh.SSHAcceptor | None = None

    @property
    def host(self) -> ShellHost:
        """The server as a node."""
        assert self._server is not None
        return ShellHost(
            name="node-1", address="127.0.0.1", port=self._server.get_port(), host_keys=(public(self._host_key),)
        )

    async def start(self) -> None:
        """Listens on a port of the system's choice."""
        self._server = await asyncssh.create_server(
            lambda: _Counting(self),
            "127.0.0.1",
            0,
            server_host_keys=[self._host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(public(self._client_key)),
            process_factory=self._run,
            encoding=None,
        )

    async def break_connections(self) -> None:
        """Cuts every connection, as a node does that loses its power."""
        for connection in list(self._open):
            connection.abort()
        await asyncio.gather(*(connection.wait_closed() for connection in list(self._open)))

    async def stop(self) -> None:
        """Ends everything."""
        assert self._server is not None
        self._server.close()
        await self.break_connections()
        await self._server.wait_closed()
        for group in self.children:
            _kill(group, signal.SIGKILL)
        await asyncio.gather(*(task for task in self._running if task is not None), return_exceptions=True)

    def entered(self, connection: asyncssh.SSHServerConnection) -> None:
        """Notes a login."""
        self.connections += 1
        self._open.add(connection)

    def left(self, connection: asyncssh.SSHServerConnection) -> None:
        """Notes the end of a connection."""
        self._open.discard(connection)

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        task = asyncio.current_task()
        self._running.add(task)
        try:
            await _run(process, self.children)
        finally:
            self._running.discard(task)


class _Counting(asyncssh.SSHServer):
    def __init__(self, server: LocalSshServer) -> None:
        self._owner = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._owner.entered(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._owner.left(self._connection)


def public(key: asyncssh.SSHKey) -> str:
    """Returns the public half of a key as one line."""
    return key.export_public_key().decode().strip()


async def _run(process: asyncssh.SSHServerProcess[bytes], children: set[int]) -> None:
    pipe = asyncio.subprocess.PIPE
    asked: list[signal.Signals] = []
    # Before there is a child, too.
    process.signal_received = lambda signal: asked.append(_number(signal))  # type: ignore[method-assign]
    # What sshd does: the user's shell reads the one string that the client sent.
    child = await asyncio.create_subprocess_exec(
        "sh", "-c", process.command or "", stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    children.add(child.pid)
    process.signal_received = lambda signal: _kill(child.pid, _number(signal))  # type: ignore[method-assign]
    for number in asked:
        _kill(child.pid, number)
    feeding = asyncio.create_task(_feed(process.stdin, child.stdin))
    pumping = asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
    await asyncio.gather(pumping, return_exceptions=True)
    for pipe_end in (1, 2):
        # Nobody reads any more: whoever writes now gets SIGPIPE.
        child._transport.get_pipe_transport(pipe_end).close()  # type: ignore[attr-defined]
    status = await child.wait()
    children.discard(child.pid)
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)
    if status < 0:
        process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
    else:
        process.exit(status)


def _number(name: str) -> signal.Signals:
    return signal.Signals[f"SIG{name}"]


def _kill(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


async def _feed(reader: Any, writer: asyncio.StreamWriter) -> None:
    await _pump(reader, writer)
    writer.close()


async def _pump(reader: Any, writer: Any) -> None:
    """Copies from one stream to another until the first ends or the second does not want more."""
    with suppress(asyncssh.Error, OSError):
        while part := await reader.read(64 * 1024):
            writer.write(part)
            await writer.drain()
