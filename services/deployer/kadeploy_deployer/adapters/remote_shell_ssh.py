"""RemoteShell over SSH: connections that are kept, and commands over them.

A connection serves all commands for a host until it breaks or is forgotten. Hosts are known by the keys that the
caller brings and by nothing else.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from typing_extensions import override

from kadeploy_deployer.adapters.command_line import command_line, command_word
from kadeploy_deployer.adapters.ssh.conversation import converse
from kadeploy_deployer.adapters.ssh.login import CONNECT_SECONDS, Login, goodbye, place
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.ports import (
    CommandResult,
    CommandTimedOut,
    NodeUnreachable,
    OnPart,
    RemoteShell,
    ShellHost,
    UnprovedResult,
)

_Key = tuple[str, int, tuple[str, ...]]


@dataclass(slots=True)
class _Kept:
    connection: asyncssh.SSHClientConnection
    sessions: int = 0
    dropped: bool = False


class SshRemoteShell(RemoteShell):
    """Runs commands over kept SSH connections, as root, with one private key."""

    def __init__(self, private_key_path: Path, *, handshakes_at_once: int = 100) -> None:
        """Reads the key; arguments and errors as for `Login`."""
        self._login = Login(private_key_path, handshakes_at_once=handshakes_at_once)
        # A line per connection and per channel is too much with hundreds of nodes.
        asyncssh.set_log_level("WARNING")
        self._kept: dict[_Key, _Kept] = {}
        self._locks: dict[_Key, asyncio.Lock] = {}

    @override
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
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                kept, process = await self._open(host, command_line(arguments, environment))
        except TimeoutError:
            raise NodeUnreachable(f"{host.name} did not answer on {place(host)} within {timeout:g} s") from None
        kept.sessions += 1
        try:
            async with asyncio.timeout_at(deadline):
                return await converse(process, stdin, on_line=on_line, on_part=on_part)
        except TimeoutError:
            with suppress(OSError):
                process.kill()
            # Perhaps the command is slow, perhaps nobody is there any more: do not send the next one the same way.
            self._drop(kept)
            raise CommandTimedOut(
                f"{command_word(arguments)} on {host.name} did not end within {timeout:g} s"
            ) from None
        except asyncio.CancelledError:
            # Whoever wanted it has gone: it must not go on without him.
            with suppress(OSError):
                process.kill()
            raise
        except (asyncssh.Error, OSError) as error:
            reason = str(error) or type(error).__name__
            raise NodeUnreachable(
                f"the connection to {host.name} broke while {command_word(arguments)} ran: {reason}"
            ) from error
        finally:
            kept.sessions -= 1
            process.close()
            if kept.dropped and not kept.sessions:
                kept.connection.abort()

    @override
    async def run_unproved(self, host: ShellHost, arguments: Sequence[str], *, timeout: float) -> UnprovedResult:
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._login.connect_unproved(host)
        except TimeoutError:
            raise NodeUnreachable(f"{host.name} did not answer on {place(host)} within {timeout:g} s") from None
        try:
            async with asyncio.timeout_at(deadline):
                process = await _begun(connection, command_line(arguments, None))
                result = await converse(process, b"", on_line=None, on_part=None)
        except TimeoutError:
            text = f"{command_word(arguments)} on {host.name} did not end within {timeout:g} s"
            raise CommandTimedOut(text) from None
        except (asyncssh.Error, OSError) as error:
            reason = str(error) or type(error).__name__
            raise NodeUnreachable(f"{host.name} opens no session: {reason}") from error
        else:
            key = connection.get_server_host_key()
            if key is None:
                raise NodeUnreachable(f"{host.name} proved no host key")
            words = key.export_public_key("openssh").decode().split()
            return UnprovedResult(host_key=" ".join(words[:2]), result=result)
        finally:
            connection.abort()

    @override
    async def forget(self, host: ShellHost) -> None:
        """With whatever host key the connection was made."""
        for key in [key for key in self._kept if key[:2] == (host.address, host.port)]:
            kept = self._kept.pop(key)
            kept.dropped = True
            await goodbye(kept.connection)

    @override
    async def local_address(self, host: ShellHost) -> str:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                kept = await self._connection(host)
        except TimeoutError:
            raise NodeUnreachable(f"{host.name} did not answer on {place(host)} within {CONNECT_SECONDS} s") from None
        address: str = kept.connection.get_extra_info("sockname")[0]
        return address

    @override
    async def close(self) -> None:
        kept, self._kept = list(self._kept.values()), {}
        await asyncio.gather(*(goodbye(each.connection) for each in kept))

    async def _open(self, host: ShellHost, command: str) -> tuple[_Kept, asyncssh.SSHClientProcess[bytes]]:
        kept = await self._connection(host)
        try:
            return kept, await _begun(kept.connection, command)
        except (asyncssh.Error, OSError):
            # The kept connection was dead; a fresh one decides.
            self._drop(kept)
        kept = await self._connection(host)
        try:
            return kept, await _begun(kept.connection, command)
        except (asyncssh.Error, OSError) as error:
            raise NodeUnreachable(f"{host.name} opens no session: {error}") from error

    async def _connection(self, host: ShellHost) -> _Kept:
        key = (host.address, host.port, host.host_keys)
        async with self._locks.setdefault(key, asyncio.Lock()):
            kept = self._kept.get(key)
            if kept is None or kept.connection.is_closed():
                kept = self._kept[key] = _Kept(await self._login.connect(host))
            return kept

    def _drop(self, kept: _Kept) -> None:
        """Keeps a connection no more; it ends with its last session."""
        kept.dropped = True
        for key in [key for key, value in self._kept.items() if value is kept]:
            del self._kept[key]
        if not kept.sessions:
            kept.connection.abort()


async def _begun(connection: asyncssh.SSHClientConnection, command: str) -> asyncssh.SSHClientProcess[bytes]:
    """Starts a command. Whoever leaves while the node is asked to begin leaves no command behind."""
    await pass_fence()
    beginning = asyncio.ensure_future(connection.create_process(command, encoding=None))
    try:
        return await asyncio.shield(beginning)
    except asyncio.CancelledError:
        beginning.add_done_callback(_end)
        raise


def _end(beginning: "asyncio.Future[asyncssh.SSHClientProcess[bytes]]") -> None:
    if not beginning.cancelled() and beginning.exception() is None:
        process = beginning.result()
        with suppress(OSError):
            process.kill()
        process.close()
