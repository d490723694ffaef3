"""One broadcast as this node lives it: joins its parts in one loop, and tells the deployer."""

import os
import signal
import sys
import time

from .document import Control, Document, Part
from .failure import Failed
from .link import link_mbits
from .loop import READ, TICK, Loop
from .receiver import Receiver
from .report import FAREWELL_SECONDS, Reporter
from .server import Server
from .sink import Sink
from .store import Store, available_memory
from .takeover import give_back, take_over
from .writer import Writer

DESCRIPTION_LIMIT = 2000
PROGRESS_SECONDS = 1.0
WRITE_BYTES = 1 << 20  # worth waking the writer before the next tick: two threads of Python hinder one another
PATIENCE_SHARE = 10  # a node behind may cost its bound and a tenth of the session


class Session:
    """One broadcast."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.reporter = Reporter()
        self.loop = Loop()
        self.store = Store(
            manifest_size=document.manifest_size,
            size=document.size,
            block_size=document.block_size,
            room=int(available_memory() * document.memory_share),
        )
        self.sink = Sink(document)
        self.writer = Writer(self.store, self.sink)
        self.server = Server(document, self.store, self.loop, self.reporter.tell)
        self.receiver = Receiver(document, self.store, self.loop, self.server, self.reporter.tell)
        self.control = Control()
        self.started = time.monotonic()
        self.begun = 0.0
        self.proved = 0
        self.ticked = self.reported = 0.0
        self.phase = "waiting"

    def run(self, control: Control) -> int:
        """Lives it; returns the exit status."""
        self.control = control
        try:
            self._open()
            while not self.writer.done:
                self._turn()
                if self.control.ended:
                    raise Failed("the deployer ended the session before the file was complete")  # noqa: TRY301
            self._conclude(None)
        except Failed as failure:
            return self._conclude(failure)
        except Exception as error:  # noqa: BLE001 - whatever it is, the deployer must hear of it
            return self._conclude(Failed(f"kabroadcast has a fault: {type(error).__name__}: {error}"))
        # Nodes behind this one may still need what it holds.
        while not self.control.ended:
            self._turn()
        return 0

    def abandon(self, number: int, _frame: object) -> None:
        """Ends everything on a signal: another session takes over, the bound is reached, the connection broke."""
        self.sink.kill()
        sys.stderr.write(f"kabroadcast: ended by {signal.Signals(number).name}\n")
        sys.stderr.flush()
        os._exit(1)

    def _open(self) -> None:
        self.sink.open()
        if self.document.method == "chain":
            self.server.listen()
        self.writer.start()
        self.loop.watch(self.writer.bell, READ, self._on_bell)
        self.loop.watch(0, READ, self._on_control)
        self.reporter.tell(
            {
                "event": "ready",
                "port": self.server.port,
                "whole": self.store.whole,
                "link_mbits": link_mbits(self.document.address),
            }
        )
        for line in self.control.lines():
            self._obey(line)

    def _turn(self) -> None:
        """Does what is to be done now."""
        self.loop.wait(TICK)
        if self.writer.failure is not None:
            raise self.writer.failure
        if self.phase == "transfer" and self.receiver.complete():
            self.phase = "writing"
            self._let_write()
            self.reporter.tell({"event": "received", "seconds": round(time.monotonic() - self.begun, 4)})
        elif self.store.proved - self.proved >= WRITE_BYTES:
            self._let_write()
        now = time.monotonic()
        if now - self.ticked >= TICK:
            self._tick(now, now - self.ticked)

    def _let_write(self) -> None:
        self.proved = self.store.proved
        self.writer.proved()

    def _tick(self, now: float, passed: float) -> None:
        self.ticked = now
        if self.store.proved != self.proved:
            self._let_write()
        self.receiver.tick(now)
        self.server.beat(now)
        if not self.store.whole:
            self._slide(passed)
        if now - self.reported >= PROGRESS_SECONDS:
            self.reported = now
            self.reporter.tell(self._progress())
        self.reporter.flush()

    def _slide(self, passed: float) -> None:
        """Gives room to what comes: the oldest bytes go that neither the sink nor the node behind needs."""
        store = self.store
        if store.room() >= min(store.window // 4, store.total - store.position):
            return
        needed = min(self.writer.written, self.server.needed_from())
        store.low = max(store.low, min(needed, store.position - store.window * 3 // 4))
        if not store.room() and self.writer.written > needed:
            lived = time.monotonic() - self.started
            self.server.charge(passed, self.document.bounds.hold + lived / PATIENCE_SHARE)

    def _on_bell(self, _events: int) -> None:
        os.eventfd_read(self.writer.bell)
        if not self.store.whole:
            self._slide(0.0)

    def _on_control(self, _events: int) -> None:
        for line in self.control.read():
            self._obey(line)
        if self.control.ended:
            self.loop.forget(0)

    def _obey(self, line: bytes) -> None:
        try:
            part = Part(line)
        except (KeyError, TypeError, ValueError) as error:
            raise Failed(f"the deployer gave a part that is none: {error}") from error
        self.phase = "transfer"
        self.begun = time.monotonic()
        self.receiver.begin(part)

    def _progress(self) -> dict[str, object]:
        start, store = self.document.manifest_size, self.store
        return {
            "event": "progress",
            "phase": self.phase,
            "received_bytes": max(0, store.proved - start),
            "written_bytes": self.writer.written - start,
            "total_bytes": self.document.size,
            "upstream": self.receiver.upstream(),
        }

    def _conclude(self, failure: Failed | None) -> int:
        """Tells what became of the node; returns the exit status."""
        if failure is not None:
            self.sink.kill()
        self.phase = "failed" if failure else "serving"
        proof = self.receiver.proof
        self.reporter.tell(
            {
                "event": "result",
                "ok": failure is None,
                "reason": failure.reason if failure else "",
                "description": str(failure)[:DESCRIPTION_LIMIT] if failure else "",
                "proof": proof.digest() if self.receiver.complete() else "",
                "received_bytes": max(0, self.store.proved - self.document.manifest_size),
                "seconds": round(time.monotonic() - (self.begun or self.started), 3),
                "sink_seconds": round(self.writer.seconds, 3),
                "upstreams": self.receiver.given,
                "notes": self.receiver.notes(),
            }
        )
        self.reporter.flush(FAREWELL_SECONDS)
        return 1 if failure else 0


def main() -> int:
    """Runs one session; returns 0 when everything was received, proved and written."""
    control = Control()
    try:
        document = Document(control.first_line(60))
        number_file = f"{document.run_directory}/kabroadcast-{document.address}-{document.port}.pid"
        take_over(number_file)
    except (Failed, KeyError, TypeError, ValueError, OSError) as error:
        sys.stderr.write(f"kabroadcast: {error}\n")
        return 2
    session = Session(document)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, session.abandon)
    signal.alarm(int(document.bounds.session) + 1)
    try:
        return session.run(control)
    finally:
        give_back(number_file)
