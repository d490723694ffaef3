"""The thread that takes what was proved to the sink, so that a slow disk holds up nobody but itself."""

import os
import threading
import time

from .failure import Failed
from .sink import Sink
from .store import Store


class Writer:
    """Writes the file as it is proved.

    Attributes:
        written: the position in the stream up to which the sink took it.
        seconds: how long the sink took to take it: what is slow shows here.
        done: whether all of it is on the disk.
        failure: what ended it badly.
        bell: an eventfd that becomes readable when one of these changed.
    """

    def __init__(self, store: Store, sink: Sink) -> None:
        self.written = store.start
        self.seconds = 0.0
        self.done = False
        self.failure: Failed | None = None
        self.bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._store = store
        self._sink = sink
        self._more = os.eventfd(0, os.EFD_CLOEXEC)

    def start(self) -> None:
        """Begins."""
        threading.Thread(target=self._run, daemon=True).start()

    def proved(self) -> None:
        """Says that more was proved."""
        os.eventfd_write(self._more, 1)

    def _run(self) -> None:
        try:
            self._write()
            self._sink.close()
            self.done = True
        except Failed as failure:
            self.failure = failure
        except Exception as error:  # noqa: BLE001 - whatever it is, the deployer must hear of it
            self.failure = Failed(f"kabroadcast has a fault: {type(error).__name__}: {error}")
        os.eventfd_write(self.bell, 1)

    def _write(self) -> None:
        store = self._store
        while self.written < store.total:
            ready = store.proved - self.written
            if ready <= 0:
                os.eventfd_read(self._more)
                continue
            start = time.monotonic()
            self.written += self._sink.write(store, self.written, ready)
            self.seconds += time.monotonic() - start
            if not store.whole:
                os.eventfd_write(self.bell, 1)
