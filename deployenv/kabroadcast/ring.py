"""The last blocks of the stream, in memory, and how long one reader may keep them from the others."""

import socket
import threading
import time

from .wire import hang_up

PATIENCE_SHARE = 10  # a neighbour may cost its bound and a tenth of the session


class Reader:
    """A place in the stream: of the sink, of the digest (`local`), or of a node behind this one."""

    def __init__(self, position: int, name: str, connection: socket.socket | None = None) -> None:
        self.position = position
        self.name = name
        self.connection = connection
        self.local = connection is None
        self.cost = 0.0  # seconds that this node had nothing to do because of this reader


class Ring:
    """The last blocks, in memory. A block that a reader still needs stays; who needs it for too long is dropped."""

    def __init__(self, capacity: int, hold_bound: float) -> None:
        self.capacity = capacity
        self.hold_bound = hold_bound
        self.born = time.monotonic()
        self.blocks: dict[int, bytearray] = {}
        self.head = 0  # how many blocks came so far
        self.held = False  # the last block had to wait for this node's own readers
        self.found_slow = False  # the node before dropped this one
        self.readers: set[Reader] = set()
        self.dropped: set[str] = set()
        self.changed = threading.Condition()

    def patience(self, bound: float) -> float:
        """Returns how many seconds a neighbour may have cost by now."""
        return bound + (time.monotonic() - self.born) / PATIENCE_SHARE

    def join(self, reader: Reader) -> bool:
        """Adds a reader unless the block that it wants is gone."""
        with self.changed:
            if not self.head - len(self.blocks) <= reader.position:
                return False
            self.readers.add(reader)
            return True

    def leave(self, reader: Reader) -> None:
        """Removes a reader; what it needed may go."""
        with self.changed:
            self.readers.discard(reader)
            self.changed.notify_all()

    def add(self, block: bytearray) -> None:
        """Adds the next block once there is room for it."""
        with self.changed:
            held = False
            while behind := [reader for reader in self.readers if reader.position <= self.head - self.capacity]:
                if any(reader.local for reader in behind):
                    held = self.held = True
                start = time.monotonic()
                idle = self._idle()
                self.changed.wait(0.2)
                if idle:
                    self._charge(behind, time.monotonic() - start)
            self.held = held
            self.blocks.pop(self.head - self.capacity, None)
            self.blocks[self.head] = block
            self.head += 1
            self.changed.notify_all()

    def idle(self) -> bool:
        """Returns whether this node has written all that it has."""
        with self.changed:
            return self._idle()

    def wait(self, reader: Reader, seconds: float) -> bytearray | None:
        """Returns the reader's next block, or None when it did not come in time."""
        with self.changed:
            self.changed.wait_for(lambda: self.head > reader.position, seconds)
            return self.blocks.get(reader.position)

    def advance(self, reader: Reader) -> None:
        """Says that the reader is done with its block."""
        with self.changed:
            reader.position += 1
            self.changed.notify_all()

    def _idle(self) -> bool:
        return all(reader.position >= self.head for reader in self.readers if reader.local)

    def _charge(self, behind: list[Reader], seconds: float) -> None:
        for reader in behind:
            reader.cost += seconds
            if reader.connection is not None and reader.cost > self.patience(self.hold_bound):
                self.readers.discard(reader)
                self.dropped.add(reader.name)
                hang_up(reader.connection)
