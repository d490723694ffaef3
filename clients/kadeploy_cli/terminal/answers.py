"""Reads the answers of calls in threads of their own: a signal that tore gRPC in the middle could leave it locked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

import grpc

from kadeploy_cli.deployments.watching import interrupts
from kadeploy_cli.deployments.watching.feed import Interrupted

AHEAD = 100
"""So many answers are read before they are wanted; the rest waits where it comes from."""
_END = object()


class Stopped(Exception):
    """SIGINT or SIGTERM came: the user, or the system, wants the command to stop."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


class Reader:
    """Reads one call after the other. Signals wait until somebody reads, and are then raised as Stopped."""

    def __init__(self, items: "SimpleQueue[Any]") -> None:
        self._items = items

    def answers(self, call: Any) -> Iterator[Any]:
        """Gives the answers of a call as they come, and ends the call with the iteration.

        Raises:
            grpc.RpcError: what the call ended with.
            Stopped: a signal came first.
        """
        room = threading.Semaphore(AHEAD)
        threading.Thread(target=self._read, args=(call, room), name="answers", daemon=True).start()
        try:
            while True:
                item = self._take(None)
                # What an earlier call still had to say is of no interest.
                if item is None or item[0] is not call:
                    continue
                if item[1] is _END:
                    return
                if isinstance(item[1], grpc.RpcError):
                    raise item[1]
                room.release()
                yield item[1]
        finally:
            call.cancel()
            room.release()

    def sleep(self, seconds: float) -> None:
        """Waits. Raises Stopped."""
        self._take(seconds)

    def _take(self, seconds: float | None) -> Any:
        try:
            item = self._items.get(timeout=seconds)
        except Empty:
            return None
        if isinstance(item, Interrupted):
            raise Stopped(item.signal)
        return item

    def _read(self, call: Any, room: threading.Semaphore) -> None:
        try:
            for answer in call:
                room.acquire()
                self._items.put((call, answer))
        except grpc.RpcError as error:
            self._items.put((call, error))
        else:
            self._items.put((call, _END))


@contextmanager
def reader() -> Iterator[Reader]:
    """Gives a reader, and keeps signals from everything else until the block ends. Make the calls inside of it."""
    items: SimpleQueue[Any] = SimpleQueue()
    with interrupts.caught(items):
        yield Reader(items)
