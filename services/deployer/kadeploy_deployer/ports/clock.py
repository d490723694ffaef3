"""Time. Adapter: `store/database_clock.py`."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Takes the call back; without effect when it was made."""
        ...


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Returns seconds since the epoch, UTC; the same for all deployers that share a database."""
        ...

    def monotonic(self) -> float:
        """Returns seconds of a clock that never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...

    async def synchronise(self) -> float:
        """Learns anew what time it is, and returns by how many seconds `now` jumps ahead."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Calls back once after so many seconds, in the running event loop."""
        ...
