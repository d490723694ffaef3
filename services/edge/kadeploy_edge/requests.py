"""The messages of one call, read one after the other when somebody wants them, in time, and no larger than they may be.

A message is bytes until it is whole and was found small enough. What is in it is looked at last.
"""

from __future__ import annotations  # grpc's contexts are generic for type checkers alone

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError

from kadeploy.limits.v1 import limits_pb2
from kadeploy_edge import bounds
from kadeploy_edge.caller import Caller
from kadeploy_edge.errors import Exhausted, FieldViolation, Invalid
from kadeploy_edge.fair_share import FairShare
from kadeploy_edge.running_call import CallOver
from kadeploy_edge.wire_objects import NotCountable, count_objects

LARGEST_BY_DEFAULT = 64 * 1024
"""Of a method whose contract says nothing else. What is no larger is parsed at once, everything else in a thread."""
LEFT_SECONDS = 0.02
MOST_OBJECTS = 500_000
"""Messages within one request: 10,000 nodes with fifty disks, partitions, labels and commands each."""
ARRIVALS_PER_USER, ARRIVALS = 4, 64
"""Requests of one user, or of another caller, that are received at once; of the others 64 KiB are there and wait."""


class RequestTooLarge(Invalid):
    """The request has more bytes than the contract gives it."""

    reason = "REQUEST_TOO_LARGE"


class MalformedRequest(Invalid):
    """The bytes of the request are none of its message."""

    reason = "MALFORMED_REQUEST"


class RequestMissing(Invalid):
    """The call was over before its request was there."""

    reason = "REQUEST_MISSING"


class RequestTooSlow(Exhausted):
    """The request did not arrive in time."""

    reason = "REQUEST_TOO_SLOW"


@functools.cache
def largest_request(full_method: str) -> int:
    """Returns how many bytes a request of `/package.Service/Method` may have, each message of a stream of them."""
    found = _method(full_method)
    return LARGEST_BY_DEFAULT if found is None else _largest(found)


def largest_of_services(names: Iterable[str]) -> int:
    """Returns how many bytes the largest request of some services, by their full names, may have."""
    methods = (method for name in names for method in _methods(name))
    return max(map(_largest, methods), default=LARGEST_BY_DEFAULT)


def _largest(method: MethodDescriptor) -> int:
    return int(method.GetOptions().Extensions[limits_pb2.largest_request_bytes]) or LARGEST_BY_DEFAULT


@functools.cache
def _method(full_method: str) -> MethodDescriptor | None:
    """Returns a method; None where its contract is not ours, as of health and reflection."""
    service, _, name = full_method.lstrip("/").partition("/")
    return next((method for method in _methods(service) if method.name == name), None)


def _methods(service: str) -> Sequence[MethodDescriptor]:
    try:
        return list(descriptor_pool.Default().FindServiceByName(service).methods)
    except KeyError:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReader:
    """Reads the messages of one call.

    Attributes:
        context: the call.
        parse: makes a message of bytes, or raises DecodeError.
        method: "/package.Service/Method".
        caller: who makes the call.
        arrivals: the shares of what arrives at once: a caller's requests fill the memory one after the other.
        arrivals_at_once: how many of this caller's.
        seen: is given each message.
    """

    context: grpc.aio.ServicerContext[Any, Any]
    parse: Callable[[bytes], Any]
    method: str
    caller: Caller
    arrivals: FairShare
    arrivals_at_once: int
    seen: Callable[[Any], None]

    async def read(self, seconds: float | None) -> bytes | None:
        """Returns the bytes of the next message, None where there are no more.

        Raises:
            RequestTooSlow: it was not there after so many seconds.
            RequestTooLarge: it is larger than the contract allows.
        """
        try:
            async with asyncio.timeout(seconds):
                return self._checked(await self._next())
        except TimeoutError:
            raise _too_slow(seconds) from None

    async def read_first(self, seconds: float) -> bytes | None:
        """Returns the same for the first message, which waits for the caller's other requests that arrive."""
        try:
            async with asyncio.timeout(seconds):
                await self.arrivals.take(self.caller.name, most=self.arrivals_at_once)
                try:
                    return self._checked(await self._next())
                finally:
                    self.arrivals.give_back(self.caller.name)
        except TimeoutError:
            raise _too_slow(seconds) from None

    async def read_only(self, seconds: float) -> bytes:
        """Returns the bytes of the one message of a call. Raises RequestMissing, and as `read`."""
        content = await self.read_first(seconds)
        if content is None:
            text = "the call ended before its request was there, or the request is larger than the service takes"
            raise RequestMissing(text, violations=(FieldViolation(field="request", description="is missing"),))
        return content

    async def _next(self) -> Any:
        try:
            return await self.context.read()
        except Exception as error:
            # Whatever gRPC raises here, it is not about the request, of which nothing has been looked at.
            raise CallOver from error

    def _checked(self, content: Any) -> bytes | None:
        if content is grpc.aio.EOF:
            return None
        most = largest_request(self.method)
        if len(content) > most:
            name = self.method.rpartition("/")[2]
            text = f"the request has {len(content)} bytes; {name} takes {most} at most"
            raise RequestTooLarge(
                text,
                metadata={"bytes": str(len(content)), "most": str(most)},
                violations=(FieldViolation(field="request", description=f"is larger than {most} bytes"),),
            )
        return bytes(content)

    def message(self, content: bytes) -> Any:
        """Returns the message that stands in some bytes. Raises MalformedRequest, RequestTooLarge, OutOfBounds."""
        try:
            self._count(content)
            found = self.parse(content)
        except (DecodeError, NotCountable) as error:
            name = self.method.rpartition("/")[2]
            raise MalformedRequest(
                f"these {len(content)} bytes are no request of {name}",
                violations=(FieldViolation(field="request", description="cannot be parsed"),),
            ) from error
        self.seen(found)
        bounds.check(found)
        return found

    def _count(self, content: bytes) -> None:
        """Raises RequestTooLarge for a request that would take much more memory than its bytes."""
        method = _method(self.method)
        if len(content) <= LARGEST_BY_DEFAULT or method is None:
            return
        if count_objects(content, method.input_type, most=MOST_OBJECTS) > MOST_OBJECTS:
            raise RequestTooLarge(
                f"the request holds more than {MOST_OBJECTS} messages",
                metadata={"most": str(MOST_OBJECTS)},
                violations=(FieldViolation(field="request", description=f"holds more than {MOST_OBJECTS} messages"),),
            )

    async def message_soon(self, content: bytes) -> Any:
        """Returns the same as `message`; a large one is parsed in a thread."""
        if len(content) <= LARGEST_BY_DEFAULT:
            return self.message(content)
        return await asyncio.to_thread(self.message, content)

    async def messages(self, *, first: float, later: float | None) -> AsyncIterator[Any]:
        """Gives the messages of a stream.

        Of a caller who has left gRPC says that there are no more, and a moment later that they left. That moment is
        waited for where messages have to come, so that half of them are not taken for all.

        Args:
            first: seconds until the first one is there.
            later: the same for each that follows; None: whenever it comes.
        """
        content = await self.read_first(first)
        while content is not None:
            yield await self.message_soon(content)
            content = await self.read(later)
        if later is not None:
            await asyncio.sleep(LEFT_SECONDS)


def _too_slow(seconds: float | None) -> RequestTooSlow:
    return RequestTooSlow(f"the request was not there after {seconds:g} s", metadata={"seconds": f"{seconds:g}"})
