"""Tells the deployer, line by line on standard output, and never waits for it while the file flows."""

import json
import os
import select
import time
from typing import Protocol

ATOMIC = 4096  # a pipe that is ready takes so many bytes at once
LIMIT = 256 << 10  # of lines that wait; a deployer that hears nothing for so long has lost more than these
FAREWELL_SECONDS = 5.0


class Tell(Protocol):
    """Tells the deployer one thing."""

    def __call__(self, line: dict[str, object], /) -> None:
        """Tells it."""


class Reporter:
    """Standard output."""

    def __init__(self) -> None:
        self._waiting = b""
        self._poll = select.poll()
        self._poll.register(1, select.POLLOUT)

    def tell(self, line: dict[str, object]) -> None:
        """Tells one thing, now or as soon as the deployer listens."""
        if len(self._waiting) < LIMIT:
            self._waiting += json.dumps(line).encode() + b"\n"
        self.flush()

    def flush(self, seconds: float = 0.0) -> None:
        """Writes what waits, within so many seconds."""
        deadline = time.monotonic() + seconds
        try:
            while self._waiting and self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                self._waiting = self._waiting[os.write(1, self._waiting[:ATOMIC]) :]
        except (BrokenPipeError, BlockingIOError):
            # A deployer that no longer listens has ended the session, which standard input tells.
            return
