"""How a service ends: on SIGTERM or SIGINT, in good order if it can, and in time if it cannot."""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import threading
from types import FrameType

logger = logging.getLogger(__name__)

STOP_SECONDS = 25.0
"""What is left to a process after the signal; whoever runs services kills them after 30 s."""
STATUS = 1


def stop_signal() -> asyncio.Event:
    """Returns an event that SIGTERM or SIGINT sets; from then on the process has STOP_SECONDS."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(_number: int, _frame: FrameType | None) -> None:
        # Not the loop's own way of signals: the time runs also when the loop does not.
        _end_in_time()
        loop.call_soon_threadsafe(stopped.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopped


def _end_in_time() -> None:
    timer = threading.Timer(STOP_SECONDS, _end_at_once)
    # Whoever ends before does not wait for it.
    timer.daemon = True
    timer.start()


def _end_at_once() -> None:
    """Ends the process, whatever it waits for; the log says where it waited. As after a crash, nothing is lost."""
    logger.error("not everything has ended within %.0f s of the signal: the process ends now", STOP_SECONDS)
    faulthandler.dump_traceback(sys.stderr)
    sys.stderr.flush()
    os._exit(STATUS)
