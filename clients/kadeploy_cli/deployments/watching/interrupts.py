"""Ctrl-C and SIGTERM while a deployment is followed: items of the queue, so that nothing is torn in the middle."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from queue import SimpleQueue
from types import FrameType

import click

from kadeploy_cli.deployments.watching.feed import Interrupted, Item

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Choice(Enum):
    """What an interrupt means."""

    # Leave the deployment alone and end.
    DETACH = auto()
    # Ask the deployer to stop it, and wait for its end.
    CANCEL = auto()
    # Go on.
    CONTINUE = auto()


@contextmanager
def caught(items: "SimpleQueue[Item]") -> Iterator[None]:
    """Puts an item into the queue for every signal; outside the main thread signals stay as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        # SimpleQueue.put may be called from a signal handler: it cannot lock itself out.
        items.put(Interrupted(signal=number))

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def on_terminal() -> bool:
    """True when there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask() -> Choice:
    """Asks the user what Ctrl-C is to mean; another Ctrl-C means to detach."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        word = click.prompt(
            "\nDetach (the deployment goes on), cancel it, or go on watching?",
            type=click.Choice(["d", "c", "g"]),
            default="g",
            err=True,
        )
    except (click.Abort, KeyboardInterrupt):
        word = "d"
    finally:
        signal.signal(signal.SIGINT, before)
    return {"d": Choice.DETACH, "c": Choice.CANCEL, "g": Choice.CONTINUE}[word]
