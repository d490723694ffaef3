"""Copying one file to many nodes at once. Adapter: `broadcast/chain.py`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kadeploy_deployer.domain.outcome import Outcome
from kadeploy_deployer.ports.opened_file import OpenedFile
from kadeploy_deployer.ports.remote_shell import ShellHost


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
        file: OpenedFile,
        *,
        digest: str,
        user: str,
        targets: Sequence[BroadcastTarget],
        timeout: float,
        on_progress: Callable[[str, int, int], None],
    ) -> Mapping[str, Received]:
        """Sends the file to all targets and returns what became of each, by name; never raises for one node's sake.

        Args:
            file: one whose SHA-256 is `digest` ("sha256:<hex>"); it stays open until this returns.
            digest: as registered; compared with what each node computed from what it received.
            user: for whom, so that each has their share of the deployer's host.
            targets: in the order of the chain.
            timeout: seconds for the whole broadcast.
            on_progress: called with (node, bytes done, bytes in total), at most about once a second per node.
        """
        ...
