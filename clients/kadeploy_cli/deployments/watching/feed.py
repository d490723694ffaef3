"""Reads a watch in a thread of its own, so that the command can look at its clock and its signals meanwhile."""

import threading
from dataclasses import dataclass
from queue import SimpleQueue

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli.deployments.watching.subject import Subject
from kadeploy_edge.status import RemoteError, from_rpc_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The stream told something."""

    feed: "Feed"
    response: deployer_service_pb2.WatchDeploymentResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The stream came to its end as it should."""

    feed: "Feed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The stream broke."""

    feed: "Feed"
    error: RemoteError


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The user, or the system, wants the command to stop."""

    signal: int


Item = Answered | Ended | Lost | Interrupted


class Feed:
    """One stream of what is followed. Whatever comes goes to the queue; the last item is Ended or Lost."""

    def __init__(self, subject: Subject, *, after_sequence: int, items: "SimpleQueue[Item]") -> None:
        self._items, self._subject = items, subject
        # Silence is bounded by whoever reads the queue.
        self._call = subject.open_watch(after_sequence)
        # A daemon: a stream that does not heed its cancellation must not keep the command from ending.
        self._thread = threading.Thread(target=self._read, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the stream; items that it still puts name this feed and can be passed over."""
        self._call.cancel()
        self._thread.join(timeout=2.0)

    def _read(self) -> None:
        try:
            for response in self._call:
                self._items.put(Answered(feed=self, response=self._subject.read(response)))
        except grpc.RpcError as error:
            self._items.put(Lost(feed=self, error=from_rpc_error(error)))
        else:
            self._items.put(Ended(feed=self))
