"""Around every call: who calls, how long it took, and errors turned into statuses.

The sync and the aio interceptor stand side by side and share everything but the colour. Servicers raise
domain errors and never call `context.abort`, which raises a bare Exception that broad handlers eat.
"""

from __future__ import annotations  # grpc's classes are generic for type checkers alone

import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import grpc
from google.rpc import status_pb2
from grpc_status import rpc_status

from kadeploy_rpckit.caller import METADATA_KEY, Caller, current_caller
from kadeploy_rpckit.errors import DomainError
from kadeploy_rpckit.status import internal_status, to_status

logger = logging.getLogger(__name__)

# Health and reflection are asked all the time, by anybody; they would drown the log.
QUIET = ("/grpc.health.v1.", "/grpc.reflection.")


class _Call:
    """One call while it runs: binds the caller, then logs the end."""

    def __init__(self, service: str, details: grpc.HandlerCallDetails) -> None:
        self.domain = f"{service}.kadeploy"
        self.method = details.method
        self.request_id = uuid.uuid4().hex[:12]
        metadata = {key: value for key, value in details.invocation_metadata or () if isinstance(value, str)}
        self.caller = Caller(name=metadata.get(METADATA_KEY, ""))

    def begin(self) -> None:
        current_caller.set(self.caller)
        self.start = time.monotonic()

    def end(self, outcome: str) -> None:
        level = logging.DEBUG if self.method.startswith(QUIET) else logging.INFO
        logger.log(
            level,
            "method=%s caller=%s request_id=%s outcome=%s seconds=%.3f",
            self.method,
            self.caller.name or "-",
            self.request_id,
            outcome,
            time.monotonic() - self.start,
        )

    def status_of(self, error: Exception) -> status_pb2.Status:
        if isinstance(error, DomainError):
            self.end(error.reason)
            return to_status(error, domain=self.domain)
        logger.error("method=%s request_id=%s unforeseen error", self.method, self.request_id, exc_info=error)
        self.end("INTERNAL")
        return internal_status(self.request_id, domain=self.domain)


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
    """The edge of a sync service. `service`: "inventory" or "bootctl"."""

    def __init__(self, service: str) -> None:
        self._service = service

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wraps the handler of one call."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        call, behaviour = _Call(self._service, handler_call_details), _behaviour(handler)

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            call.begin()
            try:
                response = behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - this is the place where every error becomes a status
                context.abort_with_status(rpc_status.to_status(call.status_of(error)))
            call.end("OK")
            return response

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            call.begin()
            try:
                yield from behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - as above
                context.abort_with_status(rpc_status.to_status(call.status_of(error)))
            call.end("OK")

        return _rebuilt(handler, stream if handler.response_streaming else unary)


class AioEdgeInterceptor(grpc.aio.ServerInterceptor):
    """The edge of an aio service. `service`: "deployer"."""

    def __init__(self, service: str) -> None:
        self._service = service

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wraps the handler of one call."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(QUIET):
            return handler
        call, behaviour = _Call(self._service, handler_call_details), _behaviour(handler)

        async def unary(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            call.begin()
            try:
                response = await behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - this is the place where every error becomes a status
                await context.abort_with_status(rpc_status.to_status(call.status_of(error)))
            call.end("OK")
            return response

        async def stream(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            call.begin()
            try:
                async for response in behaviour(request, context):
                    yield response
            except Exception as error:  # noqa: BLE001 - as above
                await context.abort_with_status(rpc_status.to_status(call.status_of(error)))
            call.end("OK")

        return _rebuilt(handler, stream if handler.response_streaming else unary)
