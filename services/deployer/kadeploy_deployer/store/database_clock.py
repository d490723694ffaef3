"""Clock: the time of the database, so that all deployers that share it agree on what has expired.

A lease is written by one host and judged by another. Were each to ask its own clock, one that is ahead would take over
what is alive. Between two looks the time goes on by this host's monotonic clock, which knows no jumps.
"""

import asyncio
import time
from collections.abc import Callable

from sqlalchemy import Connection
from typing_extensions import override

from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.clock import Timer
from kadeploy_deployer.store.database import Database

SLOW_SECONDS = 1.0
"""An answer that took longer says too little about the present; the time before it goes on."""

_QUESTIONS = {"sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0", "mysql": "SELECT UNIX_TIMESTAMP(NOW(6))"}


class DatabaseClock(Clock):
    """Implements `ports.Clock`. Before the first `synchronise` it is this host's time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._question = _QUESTIONS["sqlite" if database.is_sqlite else "mysql"]
        self._ahead = time.time() - self.monotonic()
        self._known = False

    @override
    def now(self) -> float:
        return self.monotonic() + self._ahead

    @override
    def monotonic(self) -> float:
        """It goes on while the host sleeps, which Python's own does not."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @override
    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)

    @override
    async def synchronise(self) -> float:
        """Raises StoreUnreachable."""
        ahead, took = await self._database.read(self._ask)
        if took > SLOW_SECONDS and self._known:
            return 0.0
        jump = ahead - self._ahead if self._known else 0.0
        self._ahead, self._known = ahead, True
        return jump

    def _ask(self, connection: Connection) -> tuple[float, float]:
        """Returns how far the database's time is ahead of our monotonic clock, and how long the answer took."""
        asked = self.monotonic()
        answer = float(connection.exec_driver_sql(self._question).scalar_one())
        answered = self.monotonic()
        return answer - (asked + answered) / 2, answered - asked
