"""Reboots and power as operations with a name: an answer that is lost is asked for again, and nothing is done twice."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli.connection.connect import Deployer
from kadeploy_cli.nodes.results import NodeOutcome, outcome
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.answers import Reader, Stopped, reader
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure
from kadeploy_edge.status import RemoteError, from_rpc_error

LONGEST_SECONDS = 6 * 3600.0
"""No reboot of many nodes, window by window, takes longer."""
STOP_PATIENCE = 20.0
"""A deployer that is not the one we ask looks every few seconds whether it is to stop."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
ACCEPTED = "kadeploy-accepted"
PASSING_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)
PASSING_REASONS = ("GOING_AWAY", "LEASE_LOST")


@dataclass(slots=True, kw_only=True)
class Operation:
    """An operation that was asked for. `outcomes`: of the nodes so far; `interrupted`: its caller stopped it."""

    outcomes: dict[str, NodeOutcome] = field(default_factory=dict)
    interrupted: bool = False


def carry_out(
    deployer: Deployer,
    method: Any,
    request: Any,
    tell: Callable[[NodeOutcome], None],
    begun: Callable[[str], None] = lambda _: None,
) -> Operation:
    """Has an operation carried out, tells of each node once, and returns when it is over.

    Args:
        deployer: who is asked.
        method: RebootNodes or SetPower.
        request: what is asked; gets its request_id here.
        tell: told of each node.
        begun: called with the operation's id before it is asked for.
    """
    request.request_id = str(uuid.uuid4())
    begun(request.request_id)
    with reader() as reading:
        return _Asking(deployer, method, request, tell, reading).run()


def begin(deployer: Deployer, method: Any, request: Any) -> str:
    """Has an operation begun, returns its id, and leaves it to itself."""
    request.request_id = str(uuid.uuid4())
    call = method(request, timeout=deployer.deadlines.call)
    try:
        if ACCEPTED not in dict(call.initial_metadata() or ()):
            for _ in call:  # It ends with the reason of the refusal.
                pass
    except grpc.RpcError as error:
        raise deployer.failure(from_rpc_error(error)) from None
    call.cancel()
    request_id: str = request.request_id
    return request_id


class _Asking:
    def __init__(
        self, deployer: Deployer, method: Any, request: Any, tell: Callable[[NodeOutcome], None], reading: Reader
    ) -> None:
        self._deployer, self._method, self._request, self._tell = deployer, method, request, tell
        self._reading = reading
        self._operation = Operation()
        self._accepted = False
        self._lost_since: float | None = None
        self._pause = FIRST_PAUSE

    def run(self) -> Operation:
        try:
            while (error := self._ask(LONGEST_SECONDS)) is not None:
                self._bear(error)
        except Stopped:
            self._stop()
        return self._operation

    def _ask(self, patience: float) -> RemoteError | None:
        """Reads one answer to its end; returns what it broke off with."""
        call = self._method(self._request, timeout=patience)
        try:
            for answer in self._reading.answers(call):
                self._lost_since, self._pause = None, FIRST_PAUSE
                found = outcome(answer.result.node, answer.result.status)
                if found.node not in self._operation.outcomes:
                    self._operation.outcomes[found.node] = found
                    self._tell(found)
        except grpc.RpcError as error:
            self._accepted |= ACCEPTED in dict(call.initial_metadata() or ())
            return from_rpc_error(error)
        return None

    def _bear(self, error: RemoteError) -> None:
        """Waits before the request is made again, or raises the Failure if that is of no use."""
        broken = not error.reason and error.code in PASSING_CODES
        if not self._accepted or not (broken or error.reason in PASSING_REASONS):
            raise self._deployer.failure(error)
        now = time.monotonic()
        patience = self._deployer.deadlines.reconnect
        if self._lost_since is None:
            self._lost_since = now
            output.say(
                f"lost the deployer at {self._deployer.address}; asking again for up to {patience:g} s "
                "(what it has begun is not done twice)"
            )
        if now - self._lost_since > patience:
            raise Failure(
                f"the deployer at {self._deployer.address} has not come back after {patience:g} s; of the nodes that "
                "are not named above nobody knows what became",
                exit_code=ExitCode.UNREACHABLE,
                advice="`kapower --status` and `kaconsole` show how they are.",
            )
        self._reading.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _stop(self) -> None:
        """Ends the operation, and hears how far it was."""
        self._operation.interrupted = True
        output.say("stopping; nodes that are under way are left to themselves (interrupt again to leave at once)")
        request = deployer_service_pb2.StopOperationRequest(request_id=self._request.request_id)
        try:
            self._deployer.call(self._deployer.control.StopOperation, request)
            error = self._ask(STOP_PATIENCE)
        except Failure as failure:
            if failure.exit_code != ExitCode.NOT_FOUND:
                raise
            return  # Nothing had been begun.
        except Stopped:
            raise Failure("stopped from the keyboard", exit_code=ExitCode.INTERRUPTED) from None
        if error is not None:
            raise self._deployer.failure(error)
