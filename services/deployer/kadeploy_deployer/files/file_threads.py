"""Runs blocking work on files in daemon threads, which never delay the end of the process.

The event loop's default executor would: the process waits for its threads, and a read from a file server that does not
answer never returns.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from kadeploy_deployer.files.user_limiter import UserLimiter

_Result = TypeVar("_Result")
Work = Callable[[threading.Event], _Result]

IDLE_SECONDS = 5.0
"""How long a thread waits for more work."""


class FileThreads:
    """Runs blocking calls.

    Args of the constructor:
        in_all: how many calls go on at a time.
        per_user: how many of them for one user.
    """

    def __init__(self, *, in_all: int, per_user: int) -> None:
        self._limiter = UserLimiter(in_all=in_all, per_user=per_user)
        self._workers = _Workers()

    async def run(
        self, work: Work[_Result], *, user: str = "", discard: Callable[[_Result], None] = lambda _: None
    ) -> _Result:
        """Returns what the work returns, or raises what it raises.

        Args:
            work: is given an event that is set when nobody waits for its result any more; it is to end soon then.
            user: for whom.
            discard: is given a result for which nobody waits any more.
        """
        release_slot = await self._limiter.acquire(user)
        job = _Job(work, release_slot, discard)
        try:
            self._workers.start(job.carry_out)
        except BaseException:
            release_slot()
            raise
        return await job.result()


class _Workers:
    """Threads that carry out one call after the other, and end when there is none for a while."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        # How many threads wait for a call that is not in the queue yet.
        self._idle = 0

    def start(self, call: Callable[[], None]) -> None:
        """Has a call carried out at once: by a thread that waits, or by a new one."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                threading.Thread(target=self._work, name="file-work", daemon=True).start()
            self._calls.put(call)

    def _work(self) -> None:
        while call := self._next():
            call()
            # A reference would keep alive what the call worked on.
            del call
            with self._lock:
                self._idle += 1

    def _next(self) -> Callable[[], None] | None:
        while True:
            try:
                return self._calls.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    # Otherwise a call was put there this moment, and counts on this thread.
                    if self._idle:
                        self._idle -= 1
                        return None


class _Job(Generic[_Result]):
    """Work in a thread, and the caller in the event loop who waits for it, or does not any more."""

    def __init__(
        self, work: Work[_Result], release_slot: Callable[[], None], discard: Callable[[_Result], None]
    ) -> None:
        self._work = work
        self._release_slot = release_slot
        self._discard = discard
        self._loop = asyncio.get_running_loop()
        self._result: asyncio.Future[_Result] = self._loop.create_future()
        self._stopped = threading.Event()

    async def result(self) -> _Result:
        """Waits for the end of the work."""
        try:
            return await self._result
        except asyncio.CancelledError:
            if self._result.done() and not self._result.cancelled() and self._result.exception() is None:
                self._discard(self._result.result())
            raise
        finally:
            self._stopped.set()

    def carry_out(self) -> None:
        """Does the work, in its thread."""
        # A loop that is closed has nobody who waits.
        with contextlib.suppress(RuntimeError):
            try:
                value = self._work(self._stopped)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised to whoever waits
                self._loop.call_soon_threadsafe(self._failed, error)
            else:
                self._loop.call_soon_threadsafe(self._done, value)

    def _done(self, value: _Result) -> None:
        # The slot is free when the thread has ended, and not when its caller left.
        self._release_slot()
        if self._result.done():
            self._discard(value)
        else:
            self._result.set_result(value)

    def _failed(self, error: BaseException) -> None:
        self._release_slot()
        if not self._result.done():
            self._result.set_exception(error)
