"""Waiting in a test for something that sets no event."""

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], bool], *, within: float = 10.0) -> None:
    """Returns as soon as something is true."""
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.01)
