"""Plain servicers, run in threads: only when their request is whole and the caller may call.

A bounded number of threads answers calls; uploads, which wait for their sender, have as many of their own. A user has
an eighth of them at most, and a service half, so that one who asks for much makes nobody else wait. What runs in a
thread runs to its end, also when its caller has gone.
"""

import asyncio
import concurrent.futures
import contextvars
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, TypeVar

from kadeploy_edge.caller import Caller
from kadeploy_edge.fair_share import FairShare
from kadeploy_edge.running_call import CallOver

PART_OF_A_USER, PART_OF_OTHERS = 8, 2
"""A user has one thread of eight, and a service one of two."""

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")


class WorkerPool:
    """The threads of one service."""

    def __init__(self, workers: int) -> None:
        """Starts none yet.

        Args:
            workers: how many calls are answered at once, and how many uploads beside them.
        """
        self._workers = workers
        self._calls = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="rpc")
        self._uploads = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="upload")
        self._shares = {self._calls: FairShare(), self._uploads: FairShare()}

    async def run(self, work: Callable[[], _Result], *, caller: Caller) -> _Result:
        """Returns what the work returns, or raises what it raises."""
        return await self._run(self._calls, work, caller)

    async def run_upload(
        self, work: Callable[[Iterator[_Item]], _Result], messages: AsyncIterator[_Item], *, caller: Caller
    ) -> _Result:
        """Returns what the work makes of messages, of which the next is read when the work wants it."""
        bridge = _Bridge(messages)
        try:
            return await self._run(self._uploads, lambda: work(bridge), caller)
        finally:
            bridge.close()

    def close(self) -> None:
        """Begins nothing more. What runs ends by itself."""
        for pool in (self._calls, self._uploads):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _run(
        self, pool: concurrent.futures.ThreadPoolExecutor, work: Callable[[], _Result], caller: Caller
    ) -> _Result:
        share, loop = self._shares[pool], asyncio.get_running_loop()
        most = max(1, self._workers // (PART_OF_A_USER if caller.user else PART_OF_OTHERS))
        await share.take(caller.name, most=most)
        answer: asyncio.Future[_Result] = loop.create_future()

        def finish(done: "concurrent.futures.Future[_Result]") -> None:
            share.give_back(caller.name)
            if answer.done() or done.cancelled():
                return
            error = done.exception()
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(done.result())

        def over(done: "concurrent.futures.Future[_Result]") -> None:
            # The service may have stopped before a thread that it no longer waits for.
            if not loop.is_closed():
                loop.call_soon_threadsafe(finish, done)

        try:
            running = pool.submit(contextvars.copy_context().run, _without_stop_iteration, work)
        except BaseException:
            share.give_back(caller.name)
            raise
        running.add_done_callback(over)
        try:
            return await answer
        except asyncio.CancelledError:
            # What has not begun never begins.
            running.cancel()
            raise


def _without_stop_iteration(work: Callable[[], _Result]) -> _Result:
    try:
        return work()
    except StopIteration as error:
        # No future can hold one.
        raise RuntimeError("the work ended with StopIteration") from error


class _Bridge(Generic[_Item]):
    """Messages that a loop reads, as a thread takes them: one at a time, so that a fast sender has to wait."""

    def __init__(self, messages: AsyncIterator[_Item]) -> None:
        self._messages = messages
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._reading: concurrent.futures.Future[_Item | None] | None = None

    def __iter__(self) -> Iterator[_Item]:
        return self

    def __next__(self) -> _Item:
        if self._closed:
            raise CallOver
        self._reading = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
        try:
            found = self._reading.result()
        except concurrent.futures.CancelledError:
            raise CallOver from None
        if found is None:
            raise StopIteration
        return found

    def close(self) -> None:
        """Ends the thread's wait for the next message. In the loop."""
        self._closed = True
        if self._reading is not None:
            self._reading.cancel()

    async def _next(self) -> _Item | None:
        if self._closed:
            raise asyncio.CancelledError
        return await anext(self._messages, None)
