"""Not too many machines at once: reboots go in windows of so many nodes, with a pause between two windows.

The windows belong to the process: all its deployments and operations share the one of a cluster.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from kadeploy_deployer.domain.snapshot import ProfileSnapshot
from kadeploy_deployer.nodes.time_limit import waiting_for_turn
from kadeploy_deployer.ports import Clock


class Turns(Protocol):
    """Says when a machine may reboot."""

    async def turn(self) -> None:
        """Returns when the caller's turn has come."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiter:
    """Somebody in the queue, with the limits that their profile has."""

    allowed: asyncio.Future[None]
    size: int
    pause: float


class RebootWindow:
    """The window of one cluster: first come, first served."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._opened = float("-inf")
        self._passed = 0
        self._waiters: deque[_Waiter] = deque()
        self._opening: asyncio.Task[None] | None = None

    async def turn(self, *, size: int, pause: float) -> None:
        """Lets `size` nodes through, then makes the next ones wait until `pause` seconds after the window opened."""
        size = max(size, 1)
        if not self._waiters:
            now = self._clock.monotonic()
            if now >= self._opened + pause:
                self._opened, self._passed = now, 0
            if self._passed < size:
                self._passed += 1
                return
        waiter = _Waiter(allowed=asyncio.get_running_loop().create_future(), size=size, pause=pause)
        self._waiters.append(waiter)
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open_in_turn(), name="reboot windows")
        with waiting_for_turn():
            await waiter.allowed

    async def _open_in_turn(self) -> None:
        while self._waiters:
            await self._clock.sleep(max(self._opened + self._waiters[0].pause - self._clock.monotonic(), 0.0))
            self._opened, self._passed = self._clock.monotonic(), 0
            while self._waiters and self._passed < self._waiters[0].size:
                allowed = self._waiters.popleft().allowed
                # One that was cancelled takes no place.
                if not allowed.done():
                    allowed.set_result(None)
                    self._passed += 1


@dataclass(frozen=True, slots=True)
class ClusterTurns:
    """The window of a cluster, with the limits of one profile. Implements `Turns`."""

    window: RebootWindow
    size: int
    pause: float

    async def turn(self) -> None:
        """Returns when the caller's turn has come."""
        await self.window.turn(size=self.size, pause=self.pause)


class RebootWindows:
    """The windows of all clusters of this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, RebootWindow] = {}

    def of(self, cluster: str, profile: ProfileSnapshot) -> ClusterTurns:
        """Returns the window of a cluster."""
        window = self._windows.get(cluster)
        if window is None:
            window = self._windows[cluster] = RebootWindow(self._clock)
        return ClusterTurns(window, profile.reboot_window_size, profile.reboot_window_pause)
