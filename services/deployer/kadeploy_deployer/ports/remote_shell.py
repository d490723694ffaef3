"""Running commands on nodes. Adapter: `adapters/remote_shell_ssh.py`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

LAST_OUTPUT_BYTES = 64 * 1024
"""How much of a command's output is kept: the end of it."""


class ShellError(Exception):
    """The shell could not bring an answer; `str()` is one sentence with the node's name."""


class NodeUnreachable(ShellError):
    """No session with the node: refused, timed out, wrong host key, broken off."""


class OtherHostKey(NodeUnreachable):
    """Something answered, and proved none of the expected host keys: another system runs there."""


class CommandTimedOut(ShellError):
    """The command did not end within its timeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellHost:
    """Where to log in as root. `host_keys`: OpenSSH public key lines, one of which the host must prove; never empty."""

    name: str
    address: str
    host_keys: tuple[str, ...]
    port: int = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a command ended. Outputs are the last LAST_OUTPUT_BYTES, undecodable bytes replaced."""

    exit_status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnprovedResult:
    """What a host said whose key nobody knew. `host_key`: the one that it proved, "kind base64"."""

    host_key: str
    result: CommandResult


OnPart = Callable[[bytes, bool], Awaitable[None]]
"""Takes a piece of what a command prints; True: on standard error."""


class RemoteShell(Protocol):
    """Runs commands as root on nodes. Connections are kept and reused; `forget` drops a node's before it reboots.

    Every command passes the fence (`app.fence`) right before it begins, and raises what that raises.
    """

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
        """Runs one command and returns its result whatever its exit status.

        Args:
            host: where.
            arguments: an argument list; the adapter quotes it, so no node-side shell interprets anything in it.
            timeout: seconds for the whole, connecting included.
            stdin: what the command reads.
            environment: variables set for the command (the adapter prefixes `env NAME=VALUE …`, quoted).
            on_line: called with every line of standard output as it comes.
            on_part: awaited with what is printed, as it comes; the command has to wait meanwhile.

        Raises:
            NodeUnreachable: no session, or it broke before the command ended; OtherHostKey when another system answers.
            CommandTimedOut: the timeout passed; the command's channel is closed.
        """
        ...

    async def run_unproved(self, host: ShellHost, arguments: Sequence[str], *, timeout: float) -> UnprovedResult:
        """Runs a command on whoever answers at a host's address, over a connection that ends with it.

        Nobody knows who that is: nothing secret may stand in the arguments, and what is said is worth only what it
        proves by a secret that nobody else has. The keys of `host` are not looked at.

        Raises:
            NodeUnreachable: no session, or it broke before the command ended.
            CommandTimedOut: the timeout passed.
        """
        ...

    async def forget(self, host: ShellHost) -> None:
        """Drops the kept connection to a node, if there is one."""
        ...

    async def local_address(self, host: ShellHost) -> str:
        """Returns the address of this process as that node sees it. Raises NodeUnreachable."""
        ...

    async def close(self) -> None:
        """Drops all connections."""
        ...
