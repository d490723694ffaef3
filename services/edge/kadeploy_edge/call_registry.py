"""All calls that are under way in a service: counted, tied to their connections, and looked at from time to time.

What can come to an end while a stream runs is looked at again: a certificate that was revoked or has ended, a caller
who does not read.
"""

import asyncio
import time

from kadeploy_edge.admission import Admission, CallKind, TooManyCalls
from kadeploy_edge.connection_table import ConnectionTable
from kadeploy_edge.errors import Exhausted
from kadeploy_edge.identity import CertificateExpired, CertificateRevoked
from kadeploy_edge.own_sockets import peer_of_call
from kadeploy_edge.running_call import RunningCall

LOOK_SECONDS = 2.0
FEW_REFUSALS, REFUSAL_SECONDS = 20, 0.05
"""After so many refusals within ten seconds, whoever calls on waits so long for each further one."""
_AT_A_TIME = 100


class AnswerUnread(Exhausted):
    """The caller took nothing of the answer for too long."""

    reason = "ANSWER_UNREAD"


class CallRegistry:
    """Knows each call from the moment that it is let in to its end."""

    def __init__(self, admission: Admission, connections: ConnectionTable, *, answer_seconds: float) -> None:
        """Begins with none.

        Args:
            admission: counts calls.
            connections: is told of the calls of each connection.
            answer_seconds: how long an answer may be left unread.
        """
        self._admission = admission
        self._connections = connections
        self._answer_seconds = answer_seconds
        self._running: dict[RunningCall, CallKind] = {}

    def enter(self, call: RunningCall, kind: CallKind) -> None:
        """Lets a call in, until its end; or raises TooManyCalls."""
        caller, peer = call.caller, peer_of_call(call.peer)
        self._admission.enter(kind, caller)
        self._running[call] = kind
        if peer is not None:
            self._connections.began(peer)

        def over(_: object) -> None:
            del self._running[call]
            self._admission.leave(kind, caller)
            if peer is not None:
                self._connections.ended(peer)

        call.context.add_done_callback(over)  # type: ignore[arg-type]  # the stubs want a class of their own

    async def refused(self, call: RunningCall, error: Exception) -> None:
        """Has a caller who is not heard, or who calls on and on, wait for each refusal, and ends their connection."""
        peer = peer_of_call(call.peer)
        if peer is None:
            return
        count = 0
        if isinstance(error, CertificateRevoked | CertificateExpired):
            count = self._connections.not_heard(peer)
        elif isinstance(error, TooManyCalls):
            count = self._connections.refused(peer)
        if count > FEW_REFUSALS:
            await asyncio.sleep(REFUSAL_SECONDS)

    async def look(self) -> float:
        """Looks at every call once. Returns the seconds until it should be done again."""
        for number, (call, kind) in enumerate(list(self._running.items())):
            if number % _AT_A_TIME == _AT_A_TIME - 1:
                await asyncio.sleep(0)
            if call in self._running:
                self._look_at(call, kind)
        return LOOK_SECONDS

    def _look_at(self, call: RunningCall, kind: CallKind) -> None:
        since = call.unread_since
        if since is not None and time.monotonic() - since > self._answer_seconds:
            peer = peer_of_call(call.peer)
            if peer is not None:
                self._connections.end(peer)
            call.end(AnswerUnread(f"nothing of the answer was taken for {self._answer_seconds:g} s"))
        elif kind in (CallKind.STREAM, CallKind.PROBE_STREAM):
            call.check_identity()
