"""Not too many machines at once: reboots go in windows of so many nodes, with a pause between two windows."""

from typing import Protocol

from kadeploy_deployer.ports import Clock


class Turns(Protocol):
    """Says when a machine may reboot."""

    async def turn(self) -> None:
        """Returns when the caller's turn has come."""
        ...


class RebootWindow:
    """Lets `size` nodes through, then makes the next ones wait until `pause` seconds after that window opened."""

    def __init__(self, *, size: int, pause: float, clock: Clock) -> None:
        self._size = max(size, 1)
        self._pause = pause
        self._clock = clock
        self._opened = float("-inf")
        self._passed = 0

    async def turn(self) -> None:
        """Returns when the caller's turn has come."""
        while True:
            now = self._clock.monotonic()
            if now >= self._opened + self._pause:
                self._opened, self._passed = now, 0
            if self._passed < self._size:
                self._passed += 1
                return
            await self._clock.sleep(self._opened + self._pause - now)
