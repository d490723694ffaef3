"""Copying one file to many nodes, each of which joins when it is ready. Adapter: `broadcast/chain.py`."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.ports.opened_file import OpenedFile
from kadeploy_deployer.ports.remote_shell import ShellHost

OnProgress = Callable[[int, int], None]
"""Is called with the bytes that are done, and all bytes, at most about once a second."""


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
    """What a node received, every byte proved and written.

    `digest`: of the whole, "sha256:<hex>". `seconds`: from its first request until all was on its disk.
    """

    digest: str
    received_bytes: int
    seconds: float


class ReceiveFailed(Exception):
    """A node did not receive the file; `str()` is one sentence. `failure`: for its outcome."""

    def __init__(self, failure: Failure, *, received_bytes: int = 0) -> None:
        super().__init__(failure.description)
        self.failure = failure
        self.received_bytes = received_bytes


class BroadcastSession(Protocol):
    """The broadcast of one file, which nodes join at any time."""

    async def receive(self, target: BroadcastTarget, *, timeout: float, on_progress: OnProgress) -> Received:
        """Has a node receive the file, and returns when all of it is on its disk. Raises ReceiveFailed.

        Nodes that become ready within a short moment form a chain, ordered by address; who comes later is appended.
        A node goes on giving the file to others after this returned, until the session ends or the node reboots.
        Cancelling it takes this node alone out of the session, and ends what runs on it. A node that is still receiving
        from an earlier session ends that first.

        Args:
            target: the node.
            timeout: seconds for all of it.
            on_progress: see OnProgress.
        """
        ...


class Broadcast(Protocol):
    """Copies one file to many nodes."""

    def session(self, file: OpenedFile, *, digest: str, user: str) -> AbstractAsyncContextManager[BroadcastSession]:
        """Opens a session for a file. Leaving it ends whatever runs on its nodes.

        Entering it reads the file, if it was not read before. That the file cannot be read, or has another digest, is
        the failure of every node that is to receive it.

        Args:
            file: stays open until the session is left.
            digest: as registered, "sha256:<hex>".
            user: for whom, so that each has their share of the deployer's host.
        """
        ...
