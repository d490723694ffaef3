"""A long-lived channel of a client that follows its certificate: files that were renewed count from the next call on.

gRPC reads a client's files once, when a channel is opened. So this one looks at them at every call, and opens another
channel when they have changed. Calls in flight end on the one before, which is closed after them.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Self

import grpc

from kadeploy_edge.tls import TlsFiles, UnusableCertificate, tls_fingerprint
from kadeploy_edge.tracing import outgoing

logger = logging.getLogger(__name__)


class FollowingChannel(grpc.aio.Channel):
    """Looks like one aio channel, and is the newest of several."""

    def __init__(self, files: TlsFiles, dial: Callable[[], grpc.aio.Channel]) -> None:
        """Opens the first channel.

        Args:
            files: the client's files, which are looked at.
            dial: opens a channel with the files as they are; raises UnusableCertificate, here or, later, into the log.
        """
        self._files = files
        self._dial = dial
        self._known = tls_fingerprint(files)
        self._newest = dial()
        # How many calls run on each channel that is open.
        self._running = {self._newest: 0}
        self._closing: set[asyncio.Task[None]] = set()

    def newest(self) -> grpc.aio.Channel:
        """Returns the channel for a call that begins now."""
        found = tls_fingerprint(self._files)
        if found == self._known:
            return self._newest
        # Also remembered when the files do not fit: one half may be replaced and the other on its way.
        self._known = found
        try:
            opened = self._dial()
        except UnusableCertificate as error:
            logger.error("the changed certificate is not used, the one before stays: %s", error.message)  # noqa: TRY400
            return self._newest
        logger.info("certificate=%s is read again", self._files.certificate)
        before, self._newest = self._newest, opened
        self._running[opened] = 0
        self._close_unused(before)
        return opened

    def follow(self, channel: grpc.aio.Channel, call: Any) -> None:
        """Keeps a channel open until a call on it is over."""

        def over(_: Any) -> None:
            self._running[channel] -= 1
            self._close_unused(channel)

        self._running[channel] += 1
        call.add_done_callback(over)

    def _close_unused(self, channel: grpc.aio.Channel) -> None:
        # With gRPC's own period of grace, calls that outlive it could not be ended by a later close.
        if channel is not self._newest and not self._running[channel]:
            del self._running[channel]
            task = asyncio.get_running_loop().create_task(channel.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self, grace: float | None = None) -> None:
        """Ends all calls, after at most `grace` seconds, and closes every channel."""
        await asyncio.gather(*(channel.close(grace) for channel in self._running))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Of the newest channel."""
        return self._newest.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Of the newest channel."""
        await self._newest.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Of a channel that a call would take now."""
        await self.newest().channel_ready()

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        """As of any channel; the four shapes differ in nothing here."""
        return _Call(self, lambda channel: channel.unary_unary(*arguments, **options))

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        """See unary_unary."""
        return _Call(self, lambda channel: channel.unary_stream(*arguments, **options))

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        """See unary_unary."""
        return _Call(self, lambda channel: channel.stream_unary(*arguments, **options))

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        """See unary_unary."""
        return _Call(self, lambda channel: channel.stream_stream(*arguments, **options))


class _Call:
    """One method of a stub, on whichever channel is the newest when it is called."""

    def __init__(self, channel: FollowingChannel, make: Callable[[grpc.aio.Channel], Any]) -> None:
        self._channel = channel
        self._make = make
        self._made: tuple[grpc.aio.Channel, Any] | None = None

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        newest = self._channel.newest()
        if self._made is None or self._made[0] is not newest:
            self._made = newest, self._make(newest)
        options["metadata"] = (*(options.get("metadata") or ()), *outgoing())
        call = self._made[1](*arguments, **options)
        self._channel.follow(newest, call)
        return call
