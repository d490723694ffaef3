"""Copying one file to many nodes that come one by one. Adapter: `broadcast/chain.py`."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kadeploy_deployer.domain.outcome import Outcome
from kadeploy_deployer.ports.remote_shell import ShellHost


class BroadcastError(Exception):
    """A file cannot be broadcast to anybody; `str()` is one sentence."""


class BroadcastFileChanged(BroadcastError):
    """The file does not have its registered digest."""


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
    """One receiving node."""

    host: ShellHost
    sink: BroadcastSink


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What a node says of the stream: `outcome` None when every byte was proved and written."""

    outcome: Outcome
    digest: str
    received_bytes: int


class BroadcastSession(Protocol):
    """The broadcast of one file, which nodes join when they are ready."""

    async def receive(
        self, target: BroadcastTarget, *, timeout: float, on_progress: Callable[[int, int], None]
    ) -> Received:
        """Sends the file to one node and returns what became of it as soon as that is known.

        Whatever is ready within a short moment starts as one chain, ordered by address; later nodes are appended.
        A node that fails, is slow or is lost holds up no other. Cancelling the call takes the node out.

        Args:
            target: the node.
            timeout: seconds; a node that does not have the whole file by then fails, and its program ends.
            on_progress: called with (bytes done, bytes in total), at most about once a second.
        """
        ...


class Broadcast(Protocol):
    """Copies files to nodes."""

    def session(self, path: Path, *, digest: str) -> AbstractAsyncContextManager[BroadcastSession]:
        """Opens a session for a file; leaving it ends what still runs on its nodes.

        Args:
            path: a local file whose SHA-256 is `digest` ("sha256:<hex>").
            digest: as registered; compared with what each node computed from what it received.

        Entering raises:
            BroadcastFileChanged: the file has another digest.
            BroadcastError: the file cannot be read or served.
        """
        ...
