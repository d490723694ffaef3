"""Clock: the time of this host."""

import asyncio
import time


class SystemClock:
    """Real time."""

    def now(self) -> float:
        """As in the port."""
        return time.time()

    def monotonic(self) -> float:
        """As in the port."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """As in the port."""
        await asyncio.sleep(seconds)
