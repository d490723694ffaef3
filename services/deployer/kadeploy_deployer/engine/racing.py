"""Works that run side by side: until the first of them ends, or until all have."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")

logger = logging.getLogger(__name__)

STOP_SECONDS = 40.0
"""How long works are given to stop."""


class Cancelled(Exception):
    """The deployment is to be cancelled."""


async def run_unless_cancelled(cancelled: asyncio.Event, work: Awaitable[_Answer]) -> _Answer:
    """Returns what the work returns. Ends it and raises Cancelled when the event is set before."""
    working = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Cancelled
        return working.result()
    finally:
        working.cancel()
        stop.cancel()
        await asyncio.gather(working, stop, return_exceptions=True)


class Stopped(Exception):
    """The works were stopped before all of them had ended."""


async def first_of(*works: Awaitable[Any]) -> None:
    """Runs all of them until the first ends, ends the others, and raises what the first raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def all_of(works: Sequence[Coroutine[Any, Any, None]], *, until: asyncio.Event | None = None) -> None:
    """Runs all works, however many, and returns when the last has ended; stops the others when one raises.

    Args:
        works: what is run.
        until: stops them when it is set.

    Raises:
        Stopped: `until` was set first.
        Exception: what the first work raised that did.
    """
    running = _Running()
    watching = None if until is None else asyncio.create_task(until.wait())
    if watching is not None:
        watching.add_done_callback(running.stop)
    try:
        running.start(works)
        await running.over
    finally:
        if watching is not None:
            watching.remove_done_callback(running.stop)
            watching.cancel()
        await running.end()


class _Running:
    """Tasks, and whether they are over. Each has one callback, so that thousands cost what thousands have to."""

    def __init__(self) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, works: Sequence[Coroutine[Any, Any, None]]) -> None:
        self._tasks.update(asyncio.create_task(work) for work in works)
        for task in self._tasks:
            task.add_done_callback(self._ended)
        if not self._tasks and not self.over.done():
            self.over.set_result(None)

    def stop(self, _: object) -> None:
        if not self.over.done():
            self.over.set_exception(Stopped())

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, left = await asyncio.wait(set(self._tasks), timeout=STOP_SECONDS)
            if left:
                logger.error("%d works do not stop within %.0f s; going on without them", len(left), STOP_SECONDS)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = RuntimeError(f"{task.get_name()} was cancelled") if task.cancelled() else task.exception()
        if self.over.done():
            return
        if error is not None:
            self.over.set_exception(error)
        elif not self._tasks:
            self.over.set_result(None)
