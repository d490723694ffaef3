"""Works that run side by side until the first of them ends."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")


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
