"""One call while it runs: who makes it, how it is ended from outside, and what is written down of it at its end."""

from __future__ import annotations  # grpc's contexts are generic for type checkers alone

import asyncio
import concurrent.futures
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2

from kadeploy_edge import access
from kadeploy_edge.audit import (
    LONGEST_TEXT,
    MOST_NAMES,
    MOST_NAMES_REFUSED,
    AuditLog,
    nodes_of,
    results_of,
    subjects_of,
)
from kadeploy_edge.caller import NOBODY, Caller, current_caller
from kadeploy_edge.errors import Denied, DomainError
from kadeploy_edge.identity import Identity
from kadeploy_edge.request_id import current_request_id, request_id_of
from kadeploy_edge.status import code_name, internal_status, to_status
from kadeploy_edge.tracing import Tracer

logger = logging.getLogger(__name__)

PROBES = ("/grpc.health.v1.", "/grpc.reflection.")
"""What anybody may ask at any time. It would drown the log."""


class CallOver(Exception):
    """The call ended while a request was read or an answer written: the caller went away, or the service stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What the edge of one service works with.

    Attributes:
        service: the service's name: "inventory", "deployer" or "bootctl".
        identity: says who calls.
        audit: where refused calls, changing ones and those that the contract names are recorded.
        administrators: the users who administrate the site.
        tracer: makes a span of each call; None: nobody traces.
        on_end: is told of each call its method, the name of its code, and the seconds that it took.
        recording: the one thread that writes records: nobody but whoever needs one waits for the disk.
    """

    service: str
    identity: Identity
    audit: AuditLog
    administrators: frozenset[str]
    tracer: Tracer | None = None
    on_end: Callable[[str, str, float], None] = lambda _method, _code, _seconds: None
    recording: concurrent.futures.Executor = field(
        default_factory=lambda: concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="audit")
    )

    def is_administrator(self, caller: Caller) -> bool:
        """Returns whether a caller administrates the site."""
        return bool(caller.user) and caller.user in self.administrators

    def is_trusted(self, caller: Caller) -> bool:
        """Returns whether a caller may have more at once than a user: services and administrators."""
        return caller.is_service or self.is_administrator(caller)


class RunningCall:
    """One call. It is made in the task that answers it.

    Attributes:
        method: "/package.Service/Method".
        is_probe: whether it asks for health or for the contracts.
        caller: who makes it; nobody until `identify` has said.
        context: gRPC's.
        on_outcome: is told how it ended.
        unread_since: since when the caller has left an answer unread, by the monotonic clock; None: no answer waits.
    """

    def __init__(self, edge: Edge, method: str, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self.method = method
        self.is_probe = method.startswith(PROBES)
        self.caller: Caller = NOBODY
        self.context = context
        self.unread_since: float | None = None
        self.on_outcome: Callable[[str], None] = lambda _: None
        self._edge = edge
        self._domain = f"{edge.service}.kadeploy"
        self._request_id = request_id_of(context.invocation_metadata())
        current_request_id.set(self._request_id)
        self._task = asyncio.current_task()
        self._ended_by: DomainError | None = None
        # The request, or the first message of a stream of them.
        self._request: Message | None = None
        self._response: Message | None = None
        self._known_by = ""
        self._start = time.monotonic()

    @property
    def peer(self) -> str:
        """Where the call comes from, in gRPC's words."""
        return str(self.context.peer())

    def identify(self) -> None:
        """Finds out who calls. Raises Denied for somebody who is not to be heard."""
        current_caller.set(NOBODY)
        self.caller = self._edge.identity.name(self.context)
        self._known_by = self._edge.identity.known_by(self.context)
        self._edge.identity.admit(self.context)
        current_caller.set(self.caller)

    def check_access(self) -> None:
        """Raises CallerNotAllowed unless the contract allows the method to this caller."""
        if not self.is_probe:
            access.check(self.method, self.caller, is_administrator=self._edge.is_administrator(self.caller))

    def check_identity(self) -> None:
        """Ends the call if its caller is not to be heard any more."""
        try:
            self._edge.identity.admit(self.context)
        except Denied as error:
            self.end(error)

    def end(self, error: DomainError) -> None:
        """Ends the call from outside; its caller is told the error."""
        if self._ended_by is None and self._task is not None:
            self._ended_by = error
            self._task.cancel()

    def take_end(self) -> DomainError | None:
        """Returns what has ended the call from outside, so that its caller can be told; None: it was not ended so."""
        if self._ended_by is not None and self._task is not None:
            self._task.uncancel()
        return self._ended_by

    def seen(self, request: Any) -> None:
        """Notes what the call is about; of several messages, the first."""
        if self._request is None and isinstance(request, Message):
            self._request = request

    def answered(self, response: Any) -> None:
        """Notes what the call has made; of several answers, the first."""
        if self._response is None and isinstance(response, Message):
            self._response = response

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """While the block runs, an answer waits for the caller to take it."""
        self.wait_for_reader()
        try:
            yield
        finally:
            self.unread_since = None

    def wait_for_reader(self) -> None:
        """Notes that an answer waits for the caller to take it, from now until the end of the call."""
        self.unread_since = time.monotonic()

    async def succeeded(self) -> None:
        """Records a call that the servicer brought to its end."""
        code = self.context.code()
        await self._record("OK" if code in (None, 0, grpc.StatusCode.OK) else getattr(code, "name", str(code)))

    async def cancelled(self) -> None:
        """Records a call that ended because its caller went away or the service stops."""
        await self._record("CANCELLED")

    async def failed(self, error: Exception) -> status_pb2.Status:
        """Records a call that raised, and returns what its caller is told."""
        if isinstance(error, DomainError):
            status = to_status(error, domain=self._domain)
            await self._record(
                error.reason, message=error.message, refused=isinstance(error, Denied), code=code_name(status.code)
            )
            return status
        logger.error("method=%s request_id=%s unforeseen error", self.method, self._request_id, exc_info=error)
        await self._record("INTERNAL")
        return internal_status(self._request_id, domain=self._domain)

    async def _record(self, outcome: str, *, message: str = "", refused: bool = False, code: str = "") -> None:
        seconds = time.monotonic() - self._start
        self._edge.on_end(self.method, code or outcome, seconds)
        self.on_outcome(outcome)
        logger.log(
            logging.DEBUG if self.is_probe else logging.INFO,
            "method=%s caller=%s request_id=%s outcome=%s seconds=%.3f",
            self.method,
            self.caller.name or "-",
            self._request_id,
            outcome,
            seconds,
        )
        if refused or (not self.is_probe and access.is_audited(self.method)):
            record: dict[str, object] = {
                "request_id": self._request_id,
                "caller": self.caller.name,
                "via": self.caller.via,
                "known_by": self._known_by,
                "peer": self.peer,
                "method": self.method,
                "nodes": "",
                "about": {},
                "result": results_of(self._response) if outcome == "OK" else {},
                "client_request_id": str(getattr(self._request, "request_id", ""))[:LONGEST_TEXT],
                "outcome": outcome,
                "refused": refused,
                "message": message[:LONGEST_TEXT],
                "seconds": round(seconds, 3),
            }
            loop = asyncio.get_running_loop()
            await asyncio.shield(loop.run_in_executor(self._edge.recording, self._write, record))

    def _write(self, record: dict[str, object]) -> None:
        # To fold the names of thousands of nodes takes a while, too.
        most = MOST_NAMES_REFUSED if record["refused"] else MOST_NAMES
        record |= {"nodes": nodes_of(self._request, most=most), "about": subjects_of(self._request)}
        self._edge.audit.write({key: value for key, value in record.items() if value not in ("", {})})
