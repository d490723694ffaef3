"""Around every call: who calls, whether they may, whether there is room, and only then the request. Then the answer.

gRPC reads the request of an ordinary call before anything of ours runs. So each method is given to it as one that takes
a stream of requests: whose messages are read when we ask for them, as bytes. Until then a message waits where it comes
from, but for the first 64 KiB.

Servicers raise domain errors and never call `context.abort`, which raises a bare Exception that broad handlers eat.
They are coroutines, asynchronous generators of answers, or plain functions, which run in threads.
"""

from __future__ import annotations  # grpc's classes are generic for type checkers alone

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc_status import rpc_status

from kadeploy_edge.admission import CallKind
from kadeploy_edge.call_registry import CallRegistry
from kadeploy_edge.errors import Exhausted
from kadeploy_edge.fair_share import FairShare
from kadeploy_edge.limits import Limits
from kadeploy_edge.requests import ARRIVALS, ARRIVALS_PER_USER, RequestReader
from kadeploy_edge.running_call import PROBES, CallOver, Edge, RunningCall
from kadeploy_edge.worker_pool import WorkerPool

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

LONGEST_PROBE_SECONDS = 600.0
LEFT_SECONDS = 0.2


class StreamTooLong(Exhausted):
    """A watch of the health, a reflection or an upload has lasted long enough."""

    reason = "STREAM_TOO_LONG"


class GuardedHandlers(grpc.GenericRpcHandler):
    """The methods of a service as gRPC finds them by name, each with the edge around it.

    Servicers are added to it as to a server: `add_NodeServiceServicer_to_server(servicer, handlers)`. No method can be
    reached past it.
    """

    def __init__(self, edge: Edge, *, limits: Limits, calls: CallRegistry, workers: WorkerPool) -> None:
        """Has no method yet.

        Args:
            edge: who calls, and where it is recorded.
            limits: of the service.
            calls: the calls that are under way.
            workers: the threads of plain servicers.
        """
        self._edge = edge
        self._limits = limits
        self._calls = calls
        self._workers = workers
        self._arrivals = FairShare()
        self._by_method: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Adds nothing: whatever adds its methods so adds them one by one, too."""

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Handler]) -> None:
        """Adds the methods of one service."""
        for name, handler in method_handlers.items():
            method = f"/{service_name}/{name}"
            self._by_method[method] = self._guarded(method, handler)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Returns what answers a call; None for a method that nobody knows."""
        return self._by_method.get(handler_call_details.method)

    def _guarded(self, method: str, handler: Handler) -> Handler:
        behaviour = _behaviour(handler)
        kind = _kind(method, handler)

        async def unary(_: object, context: Context) -> Any:
            return await self._traced(RunningCall(self._edge, method, context), kind, handler, behaviour)

        async def stream(_: object, context: Context) -> None:
            await self._traced(RunningCall(self._edge, method, context), kind, handler, behaviour)

        # Without deserializer and serializer messages come and go as bytes.
        guarded: Handler
        if handler.response_streaming:
            guarded = grpc.stream_stream_rpc_method_handler(stream)
        else:
            guarded = grpc.stream_unary_rpc_method_handler(unary)
        return guarded

    async def _traced(
        self, call: RunningCall, kind: CallKind, handler: Handler, behaviour: Callable[..., Any]
    ) -> bytes | None:
        """Answers one call, within a span where calls are traced."""
        tracer = self._edge.tracer
        if tracer is None or call.is_probe:
            return await self._answer(call, kind, handler, behaviour)
        with tracer.span(call.method, call.context.invocation_metadata()) as call.on_outcome:
            return await self._answer(call, kind, handler, behaviour)

    async def _answer(
        self, call: RunningCall, kind: CallKind, handler: Handler, behaviour: Callable[..., Any]
    ) -> bytes | None:
        """Answers one call, whatever becomes of it. Returns the bytes of a single answer; streams are written."""
        try:
            call.identify()
            # Before it is said whether they may: who is refused again and again has a pace to keep, too.
            self._calls.enter(call, kind)
            call.check_access()
            answer = await self._work_in_time(call, kind, handler, behaviour)
        except asyncio.CancelledError:
            error = call.take_end()
            if error is None:
                await call.cancelled()
                raise
            await _abort(call, error)
        except CallOver as error:
            await call.cancelled()
            raise asyncio.CancelledError from error
        except Exception as error:  # noqa: BLE001 - this is the place where every error becomes a status
            await self._calls.refused(call, error)
            await _abort(call, error)
        await call.succeeded()
        call.wait_for_reader()
        return answer

    async def _work_in_time(
        self, call: RunningCall, kind: CallKind, handler: Handler, behaviour: Callable[..., Any]
    ) -> bytes | None:
        seconds = LONGEST_PROBE_SECONDS if kind is CallKind.PROBE_STREAM else None
        if _is_upload(handler):
            seconds = self._limits.upload_seconds
        if seconds is None:
            return await self._work(call, handler, behaviour)
        bound = asyncio.timeout(seconds)
        try:
            async with bound:
                return await self._work(call, handler, behaviour)
        except TimeoutError as error:
            if not bound.expired():
                raise
            text = f"the call has lasted {seconds:g} s, and longer it may not: begin another"
            raise StreamTooLong(text, metadata={"seconds": f"{seconds:g}"}) from error

    async def _work(self, call: RunningCall, handler: Handler, behaviour: Callable[..., Any]) -> bytes | None:
        reader = RequestReader(
            context=call.context,
            parse=_deserializer(handler),
            method=call.method,
            caller=call.caller,
            arrivals=self._arrivals,
            arrivals_at_once=ARRIVALS if self._edge.is_trusted(call.caller) else ARRIVALS_PER_USER,
            seen=call.seen,
        )
        if not _is_async(behaviour):
            return await self._work_in_thread(call, reader, handler, behaviour)
        request: Any
        if handler.request_streaming:
            # A stream of answers goes on while the caller has nothing to say.
            later = None if handler.response_streaming else self._limits.request_seconds
            request = reader.messages(first=self._limits.request_seconds, later=later)
        else:
            request = await reader.message_soon(await reader.read_only(self._limits.request_seconds))
        if inspect.isasyncgenfunction(behaviour):
            await _write_all(call, handler, behaviour(request, call.context))
            return None
        return _serialized(call, handler, await behaviour(request, call.context))

    async def _work_in_thread(
        self, call: RunningCall, reader: RequestReader, handler: Handler, behaviour: Callable[..., Any]
    ) -> bytes:
        seconds = self._limits.request_seconds
        if handler.request_streaming:

            def take_upload(messages: Iterator[Any]) -> bytes:
                return _serialized(call, handler, behaviour(messages, call.context))

            messages = reader.messages(first=seconds, later=seconds)
            try:
                return await self._workers.run_upload(take_upload, messages, caller=call.caller)
            except Exception:
                await _see_whether_left()
                raise
        content = await reader.read_only(seconds)

        def work() -> bytes:
            return _serialized(call, handler, behaviour(reader.message(content), call.context))

        return await self._workers.run(work, caller=call.caller)


async def _write_all(call: RunningCall, handler: Handler, answers: Any) -> None:
    async with aclosing(answers):
        async for answer in answers:
            content = _serialized(call, handler, answer)
            with call.answering():
                try:
                    await call.context.write(content)
                except Exception as error:
                    # Bytes are always written, unless there is nobody any more who takes them.
                    raise CallOver from error


async def _see_whether_left() -> None:
    """Raises CallOver for a caller who has left, which is not known at once: half an upload looks like a bad one."""
    try:
        await asyncio.sleep(LEFT_SECONDS)
    except asyncio.CancelledError as error:
        raise CallOver from error


async def _abort(call: RunningCall, error: Exception) -> NoReturn:
    status = await call.failed(error)
    with call.answering():
        await call.context.abort_with_status(rpc_status.to_status(status))


def _kind(method: str, handler: Handler) -> CallKind:
    is_stream = handler.request_streaming or handler.response_streaming
    if method.startswith(PROBES):
        return CallKind.PROBE_STREAM if is_stream else CallKind.PROBE
    return CallKind.STREAM if is_stream else CallKind.CALL


def _is_upload(handler: Handler) -> bool:
    return bool(handler.request_streaming) and not handler.response_streaming


def _deserializer(handler: Handler) -> Callable[[bytes], Any]:
    if handler.request_deserializer is None:
        raise TypeError("a method handler without a deserializer")
    return handler.request_deserializer


def _serialized(call: RunningCall, handler: Handler, response: Any) -> bytes:
    if handler.response_serializer is None:
        raise TypeError("a method handler without a serializer")
    call.answered(response)
    return handler.response_serializer(response)


def _behaviour(handler: Handler) -> Callable[..., Any]:
    found = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    if found is None:
        raise TypeError("a method handler without a behaviour")
    if handler.response_streaming and not inspect.isasyncgenfunction(found):
        raise TypeError("a stream of answers comes from an asynchronous generator")
    return found


def _is_async(behaviour: Callable[..., Any]) -> bool:
    return inspect.isasyncgenfunction(behaviour) or inspect.iscoroutinefunction(behaviour)
