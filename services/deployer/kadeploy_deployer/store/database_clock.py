"""Clock: the time of the database, so that all deployers that share it agree on what has expired.

A lease is written by one host and judged by another. Were each to ask its own clock, one that is ahead would take over
what is alive. Between two looks the time goes on by this host's monotonic clock, which knows no jumps.
"""

import asyncio
import time

from sqlalchemy import Connection

from kadeploy_deployer.store.database import Database

SLOW_SECONDS = 1.0
"""An answer that took longer says too little about the present; the time before it goes on."""

_QUESTIONS = {"sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0", "mysql": "SELECT UNIX_TIMESTAMP(NOW(6))"}


class DatabaseClock:
    """Implements `ports.Clock`. Before the first `synchronise` it is this host's time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._question = _QUESTIONS["sqlite" if database.is_sqlite else "mysql"]
        self._ahead = time.time() - self.monotonic()
        self._known = False

    def now(self) -> float:
        """As in the port."""
        return self.monotonic() + self._ahead

    def monotonic(self) -> float:
        """As in the port; it goes on while the host sleeps, which Python's own does not."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        """As in the port."""
        await asyncio.sleep(seconds)

    async def synchronise(self) -> float:
        """As in the port. Raises StoreUnreachable."""
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
