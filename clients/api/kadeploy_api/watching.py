"""A watch of one deployment that outlives lost connections and restarts of the deployer."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from kadeploy_api.deployment_view import DeploymentView
from kadeploy_edge import errors
from kadeploy_edge.status import RemoteError, from_rpc_error

# A stream that says nothing for long is not told from a dead one, so each is ended and resumed by its sequence.
STREAM_SECONDS = 60.0
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
# What another try can put right.
_PASSING_KINDS = (errors.Unreachable, errors.Exhausted, errors.Conflict)
_PASSING_CODES = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One answer of a watch, taken in.

    Attributes:
        view: the deployment as it is now; the same object in every update.
        response: the snapshot, the event or the heartbeat.
        changed: the nodes that it changed.
    """

    view: DeploymentView
    response: deployer_service_pb2.WatchDeploymentResponse
    changed: AbstractSet[str]


class Watch:
    """Iterates over a deployment's updates until it has ended; begins with a snapshot.

    A broken stream is resumed after the last event that was seen, for up to `reconnect_seconds` without an answer; then
    the RemoteError of the last try is raised. Errors that no new try puts right are raised at once.
    """

    def __init__(
        self,
        stub: "deployer_service_pb2_grpc.DeploymentServiceStub",
        deployment_id: str,
        *,
        reconnect_seconds: float = 120.0,
        stream_seconds: float = STREAM_SECONDS,
        deadline: float | None = None,
        metadata: Callable[[], tuple[tuple[str, str], ...]] = lambda: (),
    ) -> None:
        """Opens no stream yet.

        Args:
            stub: of the deployer.
            deployment_id: of the deployment.
            reconnect_seconds: how long to try without an answer.
            stream_seconds: when a stream is ended and resumed.
            deadline: on the monotonic clock, when the watch ends although the deployment has not.
            metadata: of each stream.
        """
        self.view = DeploymentView()
        self._stub = stub
        self._id = deployment_id
        self._reconnect_seconds = reconnect_seconds
        self._stream_seconds = stream_seconds
        self._deadline = deadline
        self._metadata = metadata
        self._closed = threading.Event()
        self._call: Any = None
        self._heard = 0.0
        self._pause = FIRST_PAUSE

    def close(self) -> None:
        """Ends the watch, from any thread."""
        self._closed.set()
        if self._call is not None:
            self._call.cancel()

    def __iter__(self) -> Iterator[Update]:
        """Yields the updates."""
        self._heard = time.monotonic()
        while self._seconds_left() > 0 and not self._closed.is_set():
            error: RemoteError | None = None
            try:
                yield from self._stream()
            except grpc.RpcError as caught:
                error = from_rpc_error(caught)
            if self.view.finished or self._closed.is_set() or self._seconds_left() <= 0:
                return
            self._judge(error)

    def _stream(self) -> Iterator[Update]:
        request = deployer_service_pb2.WatchDeploymentRequest(id=self._id, after_sequence=self.view.sequence)
        seconds = min(self._stream_seconds, self._seconds_left())
        self._call = self._stub.WatchDeployment(request, timeout=seconds, metadata=self._metadata())
        try:
            for response in self._call:
                self._heard, self._pause = time.monotonic(), FIRST_PAUSE
                yield Update(view=self.view, response=response, changed=self.view.apply(response))
        finally:
            # Also when whoever iterates stops half-way.
            self._call.cancel()

    def _seconds_left(self) -> float:
        return math.inf if self._deadline is None else self._deadline - time.monotonic()

    def _judge(self, error: RemoteError | None) -> None:
        """Returns when the stream may be opened again, or raises the error. None: it ended before the deployment."""
        if error is not None and error.kind is errors.HistoryGone:
            self.view.sequence = 0
            return
        silent = time.monotonic() - self._heard
        if error is not None and (silent > self._reconnect_seconds or not _is_passing(error)):
            raise error
        self._closed.wait(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)


def _is_passing(error: RemoteError) -> bool:
    return error.kind in _PASSING_KINDS or (error.kind is None and error.code in _PASSING_CODES)
