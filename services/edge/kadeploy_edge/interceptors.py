"""Around every call: who calls, how long it took, errors turned into statuses, and the audit record.

The sync and the aio interceptor stand side by side and share everything but the colour. Servicers raise
domain errors and never call `context.abort`, which raises a bare Exception that broad handlers eat.
"""

from __future__ import annotations  # grpc's classes are generic for type checkers alone

import asyncio
import inspect
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status

from kadeploy_edge import access
from kadeploy_edge.audit import LONGEST_TEXT, AuditLog, nodes_of, subjects_of
from kadeploy_edge.caller import NOBODY, Caller, current_caller
from kadeploy_edge.errors import Denied, DomainError
from kadeploy_edge.identity import Identity
from kadeploy_edge.status import internal_status, to_status

logger = logging.getLogger(__name__)

# Health and reflection are asked all the time, by anybody; they would drown the log.
QUIET = ("/grpc.health.v1.", "/grpc.reflection.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What the edge of one service works with.

    Attributes:
        service: the service's name: "inventory", "deployer" or "bootctl".
        identity: says who calls.
        audit: where refused and changing calls are recorded.
    """

    service: str
    identity: Identity
    audit: AuditLog


class _Call:
    """One call while it runs: binds the caller, then logs the end."""

    def __init__(self, edge: Edge, details: grpc.HandlerCallDetails) -> None:
        self._edge = edge
        self._domain = f"{edge.service}.kadeploy"
        self._method = details.method
        self._quiet = details.method.startswith(QUIET)
        self._request_id = uuid.uuid4().hex[:12]
        self._caller: Caller = NOBODY
        self._peer = ""
        # The request, or the first message of a stream of them.
        self._request: Message | None = None
        self._start = time.monotonic()

    def begin(self, context: Any) -> None:
        """Finds out who calls; raises Denied for a caller who is not to be heard."""
        current_caller.set(NOBODY)
        self._peer = context.peer()
        self._caller = self._edge.identity.name(context)
        self._edge.identity.admit(context)
        current_caller.set(self._caller)

    def seen(self, request: Any) -> Any:
        """Returns the request, or its messages, noting what the call is about."""
        if isinstance(request, Message):
            self._request = request
            return request
        return self._seen_later(request) if hasattr(request, "__aiter__") else self._seen_stream(request)

    def _seen_stream(self, requests: Iterator[Any]) -> Iterator[Any]:
        for request in requests:
            self._request = self._request or request
            yield request

    async def _seen_later(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            self._request = self._request or request
            yield request

    def end(self, context: Any) -> None:
        """Logs a call that the servicer brought to its end."""
        code = context.code()
        self._log("OK" if code in (None, 0, grpc.StatusCode.OK) else getattr(code, "name", str(code)))

    def cancelled(self) -> None:
        """Logs a call that ended because its caller went away or the service stops."""
        self._log("CANCELLED")

    def failed(self, error: Exception) -> status_pb2.Status:
        """Logs a call that raised, and returns what its caller is told."""
        if isinstance(error, DomainError):
            self._log(error.reason, message=error.message, refused=isinstance(error, Denied))
            return to_status(error, domain=self._domain)
        logger.error("method=%s request_id=%s unforeseen error", self._method, self._request_id, exc_info=error)
        self._log("INTERNAL")
        return internal_status(self._request_id, domain=self._domain)

    def _log(self, outcome: str, *, message: str = "", refused: bool = False) -> None:
        seconds = time.monotonic() - self._start
        logger.log(
            logging.DEBUG if self._quiet else logging.INFO,
            "method=%s caller=%s request_id=%s outcome=%s seconds=%.3f",
            self._method,
            self._caller.name or "-",
            self._request_id,
            outcome,
            seconds,
        )
        if refused or (not self._quiet and access.is_changing(self._method)):
            record = {
                "request_id": self._request_id,
                "caller": self._caller.name,
                "peer": self._peer,
                "method": self._method,
                "nodes": nodes_of(self._request),
                "about": subjects_of(self._request),
                "client_request_id": str(getattr(self._request, "request_id", ""))[:LONGEST_TEXT],
                "outcome": outcome,
                "refused": refused,
                "message": message[:LONGEST_TEXT],
                "seconds": round(seconds, 3),
            }
            self._edge.audit.write({key: value for key, value in record.items() if value not in ("", {})})


def _rebuilt(
    handler: grpc.RpcMethodHandler[Any, Any], behaviour: Callable[..., Any]
) -> grpc.RpcMethodHandler[Any, Any]:
    """Returns the handler with another behaviour, of the same shape."""
    factory = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[(bool(handler.request_streaming), bool(handler.response_streaming))]
    rebuilt: grpc.RpcMethodHandler[Any, Any] = factory(
        behaviour,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return rebuilt


def _behaviour(handler: grpc.RpcMethodHandler[Any, Any]) -> Callable[..., Any]:
    found = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    if found is None:
        raise TypeError("a method handler without a behaviour")
    return found


class EdgeInterceptor(grpc.ServerInterceptor):
    """The edge of a sync service: the inventory or bootctl."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wraps the handler of one call."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        call, behaviour = _Call(self._edge, handler_call_details), _behaviour(handler)

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                call.begin(context)
                response = behaviour(call.seen(request), context)
            except grpc.RpcError:
                # A caller who went away while his messages were read: gRPC knows it by this very error.
                call.cancelled()
                raise
            except Exception as error:  # noqa: BLE001 - this is the place where every error becomes a status
                context.abort_with_status(rpc_status.to_status(call.failed(error)))
            call.end(context)
            return response

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                call.begin(context)
                yield from behaviour(call.seen(request), context)
            except (GeneratorExit, grpc.RpcError):
                call.cancelled()
                raise
            except Exception as error:  # noqa: BLE001 - as above
                context.abort_with_status(rpc_status.to_status(call.failed(error)))
            call.end(context)

        return _rebuilt(handler, stream if handler.response_streaming else unary)


class AioEdgeInterceptor(grpc.aio.ServerInterceptor):
    """The edge of an aio service: the deployer."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wraps the handler of one call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        call, behaviour = _Call(self._edge, handler_call_details), _behaviour(handler)

        async def coroutine(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                call.begin(context)
                response = await behaviour(call.seen(request), context)
            except asyncio.CancelledError:
                call.cancelled()
                raise
            except Exception as error:  # noqa: BLE001 - this is the place where every error becomes a status
                await context.abort_with_status(rpc_status.to_status(call.failed(error)))
            call.end(context)
            return response

        async def stream(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            try:
                call.begin(context)
                async for response in behaviour(call.seen(request), context):
                    yield response
            except (asyncio.CancelledError, GeneratorExit):
                call.cancelled()
                raise
            except Exception as error:  # noqa: BLE001 - as above
                await context.abort_with_status(rpc_status.to_status(call.failed(error)))
            call.end(context)

        # A coroutine that answers with a stream writes to the context, as the health service does.
        return _rebuilt(handler, stream if inspect.isasyncgenfunction(behaviour) else coroutine)
