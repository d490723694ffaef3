"""The one loop of the program: readiness of descriptors, and a tick. Handlers never block."""

import select
from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
TICK = 0.05


class Loop:
    """Calls handlers with the events of their descriptors."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}

    def watch(self, descriptor: int, events: int, handler: Callable[[int], None]) -> None:
        """Begins to watch a descriptor."""
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Changes what a descriptor is watched for."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Ends watching a descriptor, which must still be open."""
        if self._handlers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def wait(self, seconds: float) -> None:
        """Calls the handlers of what is ready, within so many seconds."""
        for descriptor, events in self._epoll.poll(seconds):
            handler = self._handlers.get(descriptor)
            # An earlier handler of this round may have forgotten it.
            if handler is not None:
                handler(events)
