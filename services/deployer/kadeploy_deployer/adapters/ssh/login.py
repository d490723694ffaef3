"""Logging in on nodes as root: reached over TCP, known by the host keys that the caller brings, in words for users.

No configuration of the user who runs the deployer is read.
"""

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from kadeploy_deployer.ports import NodeUnreachable, OtherHostKey, ShellError, ShellHost

# Curve25519 first: the hybrid exchange that asyncssh prefers costs ten times as much on either side, and hundreds of
# nodes shake hands at once.
KEY_EXCHANGES = (
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group14-sha256",
)
# By algorithm: the kind of key that it is for.
HOST_KEY_ALGORITHMS = {
    "ssh-ed25519": "ssh-ed25519",
    "ecdsa-sha2-nistp256": "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384": "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521": "ecdsa-sha2-nistp521",
    "rsa-sha2-512": "ssh-rsa",
    "rsa-sha2-256": "ssh-rsa",
}
KEEPALIVE_SECONDS = 15
KEEPALIVES_MISSED = 4
CONNECT_SECONDS = 60
# A kernel that is up answers at once. Asking anew is better than waiting: TCP's own pauses double each time.
REACH_SECONDS = 5.0
GOODBYE_SECONDS = 2.0


class UnusablePrivateKey(ShellError):
    """The deployer's own key cannot be read."""


class Login:
    """Logs in with one private key."""

    def __init__(self, private_key_path: Path, *, handshakes_at_once: int) -> None:
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
        self._shaking_hands = asyncio.Semaphore(handshakes_at_once)

    async def connect(self, host: ShellHost) -> asyncssh.SSHClientConnection:
        """Returns a connection to a host that proved one of its keys. Raises NodeUnreachable, OtherHostKey."""
        try:
            trusted = [asyncssh.import_public_key(line) for line in host.host_keys]
        except asyncssh.KeyImportError as error:
            raise NodeUnreachable(f"a host key that is known of {host.name} cannot be read: {error}") from error
        return await self._connect(host, trusted)

    async def connect_unproved(self, host: ShellHost) -> asyncssh.SSHClientConnection:
        """Returns a connection to whoever answers, whatever key it proves. Raises NodeUnreachable."""
        return await self._connect(host, None)

    async def _connect(
        self, host: ShellHost, trusted: "Sequence[asyncssh.SSHKey] | None"
    ) -> asyncssh.SSHClientConnection:
        try:
            reached = await _reach(host)
        except ConnectionRefusedError as error:
            raise NodeUnreachable(f"{host.name} refused the connection to {place(host)}") from error
        except OSError as error:
            reason = error.strerror or "no answer"
            raise NodeUnreachable(f"{host.name} cannot be reached on {place(host)}: {reason}") from error
        try:
            return await self._shake_hands(host, reached, trusted)
        except asyncssh.HostKeyNotVerifiable as error:
            raise OtherHostKey(f"{host.name} proved another host key than expected on {place(host)}") from error
        except asyncssh.PermissionDenied as error:
            raise NodeUnreachable(f"{host.name} does not let the deployer's key in as root") from error
        except asyncssh.KeyExchangeFailed as error:
            if "host key" in error.reason:
                raise OtherHostKey(f"{host.name} has no host key of the expected kind on {place(host)}") from error
            raise NodeUnreachable(f"{host.name} and the deployer share no key exchange: {error.reason}") from error
        except asyncssh.Error as error:
            raise NodeUnreachable(f"{host.name} broke off the login on {place(host)}: {error.reason}") from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise NodeUnreachable(f"{host.name} broke off the login on {place(host)}: {reason}") from error

    async def _shake_hands(
        self, host: ShellHost, reached: socket.socket, trusted: "Sequence[asyncssh.SSHKey] | None"
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
                known_hosts=None if trusted is None else (trusted, [], []),
                server_host_key_algs=_host_key_algorithms(trusted or ()),
                kex_algs=KEY_EXCHANGES,
                keepalive_interval=KEEPALIVE_SECONDS,
                keepalive_count_max=KEEPALIVES_MISSED,
                login_timeout=0,
                agent_path=None,
                config=None,
            )
        finally:
            self._shaking_hands.release()


def _host_key_algorithms(trusted: Sequence[asyncssh.SSHKey]) -> list[str]:
    """Returns all algorithms of host keys, those of trusted keys first.

    A server that has no key of the offered kinds hangs up, and cannot be told from one that is silent.
    """
    kinds = {key.get_algorithm() for key in trusted}
    return sorted(HOST_KEY_ALGORITHMS, key=lambda name: HOST_KEY_ALGORITHMS[name] not in kinds)


async def goodbye(connection: asyncssh.SSHClientConnection) -> None:
    """Ends a connection: in good order if the other side goes along soon, at once if not."""
    connection.close()
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()


def place(host: ShellHost) -> str:
    """Returns where a host is, as sentences say it."""
    return f"{host.address} port {host.port}"


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
