"""The ports: all that the deployer wants of the world, and nothing about how it is done.

Each has a real adapter in `adapters/` (or `broadcast/`) and a named fake in the tests; both pass the same
contract tests.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kadeploy_deployer.domain.outcome import Outcome
from kadeploy_deployer.domain.snapshot import (
    DeploymentSpec,
    EnvironmentSnapshot,
    FileSnapshot,
    NodeSnapshot,
    ProfileSnapshot,
)
from kadeploy_deployer.domain.states import RebootLevel

LAST_OUTPUT_BYTES = 64 * 1024
"""How much of a command's output is kept: the end of it."""


# --- RemoteShell ---


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


class RemoteShell(Protocol):
    """Runs commands as root on nodes. Connections are kept and reused; `forget` drops a node's before it reboots."""

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
        """Runs one command and returns its result whatever its exit status.

        Args:
            host: where.
            arguments: an argument list; the adapter quotes it, so no node-side shell interprets anything in it.
            timeout: seconds for the whole, connecting included.
            stdin: what the command reads.
            environment: variables set for the command (the adapter prefixes `env NAME=VALUE …`, quoted).
            on_line: called with every line of standard output as it comes.

        Raises:
            NodeUnreachable: no session, or it broke before the command ended; OtherHostKey when another system answers.
            CommandTimedOut: the timeout passed; the command's channel is closed.
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


# --- Power ---


class PowerError(Exception):
    """A power command failed; `str()` is one sentence with the node's name, the command's word and its exit status."""


class Power(Protocol):
    """Reaches nodes from outside by the command templates of their snapshot. Every command has a bound."""

    async def is_on(self, node: NodeSnapshot) -> bool | None:
        """Returns whether the node's power is on; None when the cluster has no status command. Raises PowerError."""
        ...

    async def reboot(self, node: NodeSnapshot, level: RebootLevel) -> None:
        """Reboots at the given level; a machine that is off is switched on. Raises PowerError.

        The soft level is a command here only where the template is not empty; logging in and rebooting is the
        caller's part.
        """
        ...

    async def power_on(self, node: NodeSnapshot) -> None:
        """Switches on. Raises PowerError."""
        ...

    async def power_off(self, node: NodeSnapshot) -> None:
        """Switches off. Raises PowerError."""
        ...


# --- Console ---


class ConsoleError(Exception):
    """A console cannot be reached; `str()` is one sentence with the node's name."""


class ConsoleLine(Protocol):
    """A console that is attached."""

    async def read(self) -> bytes:
        """Returns what the console says next; empty when it has ended."""
        ...

    async def write(self, data: bytes) -> None:
        """Types on the console; what a console that has ended is sent is lost."""
        ...

    async def close(self) -> None:
        """Ends it, with everything that was started for it."""
        ...


class Console(Protocol):
    """Reaches the serial consoles of nodes by the command templates of their snapshot."""

    async def attach(self, node: NodeSnapshot) -> ConsoleLine:
        """Attaches to a console. Raises ConsoleError when the site has none, or its command cannot be run."""
        ...


# --- Boot ---


class BootError(Exception):
    """bootctl refused or did not answer; `str()` is one sentence."""


class BootUnreachable(BootError):
    """bootctl did not answer: the same call may go well a moment later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootDeploymentKernel:
    """Boot the deployment environment."""

    label: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootNetworkKernel:
    """Boot an uploaded kernel. Digests are "sha256:<hex>"; `initrd_digest` may be empty."""

    kernel_digest: str
    initrd_digest: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootLocalDisk:
    """Boot what the firmware finds on the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootChainload:
    """Boot the loader of a partition. `disk` from 0 in the firmware's order."""

    disk: int
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BootGrubDisk:
    """Let GRUB, from the network, boot the kernel on the node's own disk. `device` without "/dev/"."""

    device: str
    partition: int
    kernel_path: str
    initrd_path: str
    arguments: str


BootWish = BootDeploymentKernel | BootNetworkKernel | BootLocalDisk | BootChainload | BootGrubDisk


class Boot(Protocol):
    """Says what nodes boot next."""

    async def set_entries(
        self, wishes: Mapping[str, BootWish], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, str]:
        """Writes one entry per node; returns an error sentence for each that failed. Raises BootError for all."""
        ...

    async def render_entries(
        self, wishes: Mapping[str, BootWish], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Returns (path, text) of each file that set_entries would write, per node. Raises BootError."""
        ...

    async def upload(self, path: Path, *, digest: str, description: str) -> None:
        """Uploads a file unless bootctl has it. Raises BootError."""
        ...


# --- Inventory ---


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedNode:
    """A node as resolved: `snapshot` None when it is unknown; `allowed`: the user may deploy to the target."""

    name: str
    snapshot: NodeSnapshot | None
    allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """All that a deployment copies. `profiles` by cluster name; `nodes` in the order of the node set."""

    nodes: tuple[ResolvedNode, ...]
    environment: EnvironmentSnapshot
    profiles: Mapping[str, ProfileSnapshot]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResolution:
    """Nodes without an environment. `profiles` by cluster name; `nodes` in the order of the node set."""

    nodes: tuple[ResolvedNode, ...]
    profiles: Mapping[str, ProfileSnapshot]


class Inventory(Protocol):
    """Knows nodes, environments and rights."""

    async def resolve(self, spec: DeploymentSpec, *, user: str) -> Resolution:
        """Resolves a request. Raises a DomainError of the inventory's kind, or Unreachable."""
        ...

    async def resolve_nodes(self, nodes: str, *, user: str, device: str = "", partition: int = 0) -> NodeResolution:
        """Resolves a node set and its target alone; without device or partition, each cluster's default.

        Raises a DomainError of the inventory's kind, or Unreachable.
        """
        ...

    async def check_rights(self, nodes: str, *, user: str, partition: str = "") -> Mapping[str, bool]:
        """Returns for each node of a set whether a user has a right on the partition ("sda3"), or any right at all.

        Raises a DomainError of the inventory's kind, or Unreachable.
        """
        ...


# --- Images ---


class ImageError(Exception):
    """An image or archive cannot be used: absent, unreadable, other digest than registered; `str()` is one sentence."""


class DigestDiffers(ImageError):
    """The content of a file is not the one that was registered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFiles:
    """Kernel and initrd taken out of an image, as local files. `initrd` None when the environment has none."""

    kernel: Path
    kernel_digest: str
    initrd: Path | None
    initrd_digest: str


class ImageStore(Protocol):
    """Brings the files of environments to this host and proves them."""

    async def fetch(self, file: FileSnapshot) -> Path:
        """Returns a local path whose content was checked against the registered digest and size. Raises ImageError."""
        ...

    async def boot_files(self, environment: EnvironmentSnapshot) -> BootFiles:
        """Takes kernel and initrd out of the image, following links inside it; kept by the image's digest.

        Raises ImageError.
        """
        ...


# --- Broadcast ---


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastSink:
    """What a node does with the stream: unpack a tar into a directory, or write a raw image to a device.

    `kind`: "tar" or "dd"; `compression` as in FileSnapshot; `target`: "/mnt/dest" or "/dev/vda3".
    """

    kind: str
    compression: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastTarget:
    """One receiving node, in chain order."""

    host: ShellHost
    sink: BroadcastSink


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What a node says of the stream: `outcome` None when every byte was proved and written."""

    outcome: Outcome
    digest: str
    received_bytes: int


class Broadcast(Protocol):
    """Copies one file to many nodes at once, along a chain that survives dead nodes."""

    async def send(
        self,
        path: Path,
        *,
        digest: str,
        targets: Sequence[BroadcastTarget],
        timeout: float,
        on_progress: Callable[[str, int, int], None],
    ) -> Mapping[str, Received]:
        """Sends the file to all targets and returns what became of each, by name; never raises for one node's sake.

        Args:
            path: a local file whose SHA-256 is `digest` ("sha256:<hex>").
            digest: as registered; compared with what each node computed from what it received.
            targets: in the order of the chain.
            timeout: seconds for the whole broadcast.
            on_progress: called with (node, bytes done, bytes in total), at most about once a second per node.
        """
        ...


# --- Clock ---


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Returns seconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Returns seconds of a clock that never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...
