"""RemoteShell over SSH: the one room that knows asyncssh.

Hosts are known by the keys that the caller brings and by nothing else; no configuration of the user who runs the
deployer is read. A connection serves all commands for a host until it breaks or is forgotten.
"""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from kadeploy_deployer.adapters.command_line import command_line, command_word
from kadeploy_deployer.app.ports import (
    LAST_OUTPUT_BYTES,
    CommandResult,
    CommandTimedOut,
    NodeUnreachable,
    OtherHostKey,
    ShellError,
    ShellHost,
)

# Curve25519 first: the hybrid exchange that asyncssh prefers costs ten times as much on either side, and hundreds of
# nodes shake hands at once.
KEY_EXCHANGES = (
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group14-sha256",
)
KEEPALIVE_SECONDS = 15
KEEPALIVES_MISSED = 4
CONNECT_SECONDS = 60
# A kernel that is up answers at once. Asking anew is better than waiting: TCP's own pauses double each time.
REACH_SECONDS = 5.0
GOODBYE_SECONDS = 2.0
READ_BYTES = 64 * 1024

_Key = tuple[str, int, tuple[str, ...]]


class UnusablePrivateKey(ShellError):
    """The deployer's own key cannot be read."""


@dataclass(slots=True)
class _Kept:
    connection: asyncssh.SSHClientConnection
    sessions: int = 0
    dropped: bool = False


class SshRemoteShell:
    """Runs commands over kept SSH connections, as root, with one private key."""

    def __init__(self, private_key_path: Path, *, handshakes_at_once: int = 100) -> None:
        """Reads the key.

        Args:
            private_key_path: a private key in OpenSSH's format, without passphrase.
            handshakes_at_once: how many run at the same time; they cost time of the processor.

        Raises:
            UnusablePrivateKey: absent, not readable, or no such key.
        """
        try:
            self._private_key = asyncssh.read_private_key(private_key_path)
        except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise UnusablePrivateKey(f"the private key {private_key_path} cannot be used: {error}") from error
        # A line per connection and per channel is too much with hundreds of nodes.
        asyncssh.set_log_level("WARNING")
        self._shaking_hands = asyncio.Semaphore(handshakes_at_once)
        self._kept: dict[_Key, _Kept] = {}
        self._locks: dict[_Key, asyncio.Lock] = {}

    async def run(
        self,
        host: ShellHost,
        arguments: Sequence[str],
        *,
        timeout: float,
        stdin: bytes | AsyncIterator[bytes] = b"",
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> CommandResult:
        """As in the port."""
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                kept, process = await self._open(host, command_line(arguments, environment))
        except TimeoutError:
            raise NodeUnreachable(f"{host.name} did not answer on {_place(host)} within {timeout:g} s") from None
        kept.sessions += 1
        try:
            async with asyncio.timeout_at(deadline):
                return await _converse(process, stdin, on_line)
        except TimeoutError:
            with suppress(OSError):
                process.kill()
            # Perhaps the command is slow, perhaps nobody is there any more: do not send the next one the same way.
            self._drop(kept)
            raise CommandTimedOut(
                f"{command_word(arguments)} on {host.name} did not end within {timeout:g} s"
            ) from None
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

    async def forget(self, host: ShellHost) -> None:
        """As in the port; with whatever host key the connection was made."""
        for key in [key for key in self._kept if key[:2] == (host.address, host.port)]:
            kept = self._kept.pop(key)
            kept.dropped = True
            await _goodbye(kept.connection)

    async def local_address(self, host: ShellHost) -> str:
        """As in the port."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                kept = await self._connection(host)
        except TimeoutError:
            raise NodeUnreachable(f"{host.name} did not answer on {_place(host)} within {CONNECT_SECONDS} s") from None
        address: str = kept.connection.get_extra_info("sockname")[0]
        return address

    async def close(self) -> None:
        """As in the port."""
        kept, self._kept = list(self._kept.values()), {}
        await asyncio.gather(*(_goodbye(each.connection) for each in kept))

    async def _open(self, host: ShellHost, command: str) -> tuple[_Kept, asyncssh.SSHClientProcess[bytes]]:
        kept = await self._connection(host)
        try:
            return kept, await kept.connection.create_process(command, encoding=None)
        except (asyncssh.Error, OSError):
            # The kept connection was dead; a fresh one decides.
            self._drop(kept)
        kept = await self._connection(host)
        try:
            return kept, await kept.connection.create_process(command, encoding=None)
        except (asyncssh.Error, OSError) as error:
            raise NodeUnreachable(f"{host.name} opens no session: {error}") from error

    async def _connection(self, host: ShellHost) -> _Kept:
        key = (host.address, host.port, host.host_keys)
        async with self._locks.setdefault(key, asyncio.Lock()):
            kept = self._kept.get(key)
            if kept is None or kept.connection.is_closed():
                kept = self._kept[key] = _Kept(await self._connect(host))
            return kept

    async def _connect(self, host: ShellHost) -> asyncssh.SSHClientConnection:
        try:
            trusted = [asyncssh.import_public_key(line) for line in host.host_keys]
        except asyncssh.KeyImportError as error:
            raise NodeUnreachable(f"a host key that is known of {host.name} cannot be read: {error}") from error
        try:
            reached = await _reach(host)
        except ConnectionRefusedError as error:
            raise NodeUnreachable(f"{host.name} refused the connection to {_place(host)}") from error
        except OSError as error:
            reason = error.strerror or "no answer"
            raise NodeUnreachable(f"{host.name} cannot be reached on {_place(host)}: {reason}") from error
        try:
            return await self._shake_hands(host, reached, trusted)
        except asyncssh.HostKeyNotVerifiable as error:
            raise OtherHostKey(f"{host.name} proved another host key than expected on {_place(host)}") from error
        except asyncssh.PermissionDenied as error:
            raise NodeUnreachable(f"{host.name} does not let the deployer's key in as root") from error
        except asyncssh.KeyExchangeFailed as error:
            if "host key" in error.reason:
                raise OtherHostKey(f"{host.name} has no host key of the expected kind on {_place(host)}") from error
            raise NodeUnreachable(f"{host.name} and the deployer share no key exchange: {error.reason}") from error
        except asyncssh.Error as error:
            raise NodeUnreachable(f"{host.name} broke off the login on {_place(host)}: {error.reason}") from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise NodeUnreachable(f"{host.name} broke off the login on {_place(host)}: {reason}") from error

    async def _shake_hands(
        self, host: ShellHost, reached: socket.socket, trusted: Sequence[asyncssh.SSHKey]
    ) -> asyncssh.SSHClientConnection:
        # Nodes that are not there wait in _reach, so that they cannot take the places of those that answer.
        try:
            await self._shaking_hands.acquire()
        except asyncio.CancelledError:
            reached.close()
            raise
        try:
            return await asyncssh.connect(
                host.address,
                host.port,
                sock=reached,
                username="root",
                client_keys=[self._private_key],
                preferred_auth="publickey",
                known_hosts=(trusted, [], []),
                kex_algs=KEY_EXCHANGES,
                keepalive_interval=KEEPALIVE_SECONDS,
                keepalive_count_max=KEEPALIVES_MISSED,
                login_timeout=0,
                agent_path=None,
                config=None,
            )
        finally:
            self._shaking_hands.release()

    def _drop(self, kept: _Kept) -> None:
        """Keeps a connection no more; it ends with its last session."""
        kept.dropped = True
        for key in [key for key, value in self._kept.items() if value is kept]:
            del self._kept[key]
        if not kept.sessions:
            kept.connection.abort()


async def _converse(
    process: asyncssh.SSHClientProcess[bytes],
    stdin: bytes | AsyncIterator[bytes],
    on_line: Callable[[str], None] | None,
) -> CommandResult:
    feeding = asyncio.create_task(_feed(process.stdin, stdin))
    reading = asyncio.create_task(_read(process, on_line))
    both: set[asyncio.Task[Any]] = {feeding, reading}
    try:
        # What the iterator raises ends the command; that the command stopped reading does not.
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()
        stdout, stderr = await reading
        await process.wait_closed()
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    if process.returncode is None:
        raise asyncssh.ConnectionLost("it gave no exit status")
    status = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return CommandResult(exit_status=status, stdout=stdout, stderr=stderr)


async def _feed(writer: asyncssh.SSHWriter[bytes], stdin: bytes | AsyncIterator[bytes]) -> None:
    with suppress(BrokenPipeError, ConnectionError, asyncssh.Error):
        if isinstance(stdin, bytes):
            if stdin:
                writer.write(stdin)
                await writer.drain()
        else:
            async for part in stdin:
                writer.write(part)
                await writer.drain()
        writer.write_eof()


async def _read(process: asyncssh.SSHClientProcess[bytes], on_line: Callable[[str], None] | None) -> tuple[str, str]:
    stdout, stderr = await asyncio.gather(_tail(process.stdout, on_line), _tail(process.stderr, None))
    return stdout, stderr


async def _tail(reader: asyncssh.SSHReader[bytes], on_line: Callable[[str], None] | None) -> str:
    """Reads to the end; keeps the last part and calls on_line with each line."""
    kept: deque[bytes] = deque()
    size = 0
    line = b""
    while part := await reader.read(READ_BYTES):
        kept.append(part)
        size += len(part)
        while size - len(kept[0]) >= LAST_OUTPUT_BYTES:
            size -= len(kept.popleft())
        if on_line is not None:
            *complete, line = (line + part).split(b"\n")
            for each in complete:
                on_line(each.decode(errors="replace"))
            line = line[-LAST_OUTPUT_BYTES:]
    if on_line is not None and line:
        on_line(line.decode(errors="replace"))
    return b"".join(kept)[-LAST_OUTPUT_BYTES:].decode(errors="replace")


async def _goodbye(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()


async def _reach(host: ShellHost) -> socket.socket:
    """Returns a socket that is connected to the host's sshd. Raises OSError."""
    family = socket.AF_INET6 if ":" in host.address else socket.AF_INET
    reached = socket.socket(family, socket.SOCK_STREAM)
    try:
        reached.setblocking(False)
        async with asyncio.timeout(REACH_SECONDS):
            await asyncio.get_running_loop().sock_connect(reached, (host.address, host.port))
    except BaseException:
        reached.close()
        raise
    return reached


def _place(host: ShellHost) -> str:
    return f"{host.address} port {host.port}"
