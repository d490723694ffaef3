"""Time. Adapter: `adapters/clock_system.py`."""

from typing import Protocol


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Returns seconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Returns seconds of a clock that never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...
