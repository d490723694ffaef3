"""Server-sent events: how changes reach a browser over one plain HTTP answer."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse

HEARTBEAT_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Streams:
    """The event streams that are open: a bound on their number, and their end when the server stops."""

    def __init__(self, most: int) -> None:
        """Has no stream yet. `most`: how many there may be at once."""
        self._most = most
        self._open = 0
        self._stopping = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether there is no room for another."""
        return self._open >= self._most

    def stop(self) -> None:
        """Ends every stream."""
        self._stopping.set()

    async def next_item(self, queue: "asyncio.Queue[Any]") -> tuple[str, Any]:
        """Returns ("item", what comes next), ("heartbeat", None) after some seconds without any, or ("stop", None)."""
        getting = asyncio.ensure_future(queue.get())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({getting, stopping}, timeout=HEARTBEAT_SECONDS, return_when="FIRST_COMPLETED")
            if stopping in done:
                return "stop", None
            return ("item", getting.result()) if getting in done else ("heartbeat", None)
        finally:
            for task in (getting, stopping):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def response(self, lines: AsyncIterator[str]) -> StreamingResponse:
        """Returns the answer that sends the lines as they come."""

        async def counted() -> AsyncIterator[str]:
            self._open += 1
            try:
                async with contextlib.aclosing(lines) as opened:  # type: ignore[type-var]
                    async for line in opened:
                        yield line
            finally:
                self._open -= 1

        return StreamingResponse(counted(), media_type="text/event-stream", headers=HEADERS)


def event(name: str, data: object) -> str:
    """Returns one event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


HEARTBEAT = ": heartbeat\n\n"
