"""One broadcast as this node lives it, told to the deployer line by line."""

# pathlib would double the time that the imports take:
# ruff: noqa: PTH123

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

from .document import Control, Document, Upstream
from .failure import Failed
from .receiver import Receiver
from .ring import Reader, Ring
from .server import Server
from .sink import Sink
from .takeover import give_back, take_over
from .wire import HEARTBEAT

DESCRIPTION_LIMIT = 2000
LEAST_BLOCKS = 4  # in memory, however little memory there is


class Session:
    """One broadcast as this node lives it."""

    def __init__(self, document: Document) -> None:
        self.document = document
        blocks = min(document.ring_bytes, available_memory() // 4) // document.block_size
        self.ring = Ring(max(LEAST_BLOCKS, blocks), document.hold_bound)
        self.sink = Sink(document)
        self.sink_reader = Reader(0, "sink")
        self.digest_reader = Reader(0, "digest")
        self.receiver: Receiver | None = None
        self.started = time.monotonic()
        self.phase = "waiting"
        self.digest = ""
        self.written = False
        self.failure: Failed | None = None
        self.closed = False  # the deployer ended the session
        self.changed = threading.Condition()

    def run(self, control: Control) -> int:
        """Lives it; returns the exit status."""
        try:
            self.sink.open()
            server = Server(self.document, self.ring)
        except Failed as failure:
            self.failure = failure
            return self._end()
        self.ring.join(self.sink_reader)
        self.ring.join(self.digest_reader)
        for work in (server.run, self._write, self._sum, lambda: self._obey(control)):
            threading.Thread(target=self._guard, args=(work,), daemon=True).start()
        report({"event": "ready", "port": server.port, "ring_blocks": self.ring.capacity})
        with self.changed:
            while not self._settled():
                self.changed.wait(HEARTBEAT)
                report(self._progress())
            if self.failure is None and not self._done():
                self.failure = Failed("the deployer ended the session before the file was complete")
        status = self._end()
        if status == 0:
            # Nodes behind this one may still need what it holds.
            with self.changed:
                while not self.closed:
                    self.changed.wait(HEARTBEAT)
                    report(self._progress())
        return status

    def abandon(self, number: int, _frame: object) -> None:
        """Ends everything on a signal: another session takes over, the bound is reached, the connection broke."""
        self.sink.kill()
        sys.stderr.write(f"kabroadcast: ended by {signal.Signals(number).name}\n")
        sys.stderr.flush()
        os._exit(1)

    def _settled(self) -> bool:
        return self.failure is not None or self.closed or self._done()

    def _done(self) -> bool:
        return self.written and self.digest != ""

    def _progress(self) -> dict[str, object]:
        receiver = self.receiver
        size, block_size = self.document.size, self.document.block_size
        return {
            "event": "progress",
            "phase": self.phase,
            "received_bytes": receiver.bytes if receiver else 0,
            "written_bytes": min(self.sink_reader.position * block_size, size),
            "total_bytes": size,
            "upstream": receiver.current if receiver else "",
        }

    def _end(self) -> int:
        failure = self.failure
        if failure is None and self.digest != self.document.sha256:
            failure = Failed("what was received has another SHA-256 than the file that was sent", "digest_mismatch")
        if failure is not None:
            self.sink.kill()
        self.phase = "failed" if failure else "serving"
        receiver = self.receiver
        report(
            {
                "event": "result",
                "ok": failure is None,
                "reason": failure.reason if failure else "",
                "description": str(failure)[:DESCRIPTION_LIMIT] if failure else "",
                "digest": f"sha256:{self.digest}" if self.digest else "",
                "received_bytes": receiver.bytes if receiver else 0,
                "seconds": round(time.monotonic() - self.started, 3),
                "upstreams": {one.name: one.blocks for one in receiver.upstreams if one.blocks} if receiver else {},
                "notes": receiver.notes if receiver else [],
            }
        )
        return 1 if failure else 0

    def _guard(self, work: Callable[[], None]) -> None:
        """Runs one of the threads; what ends it badly ends the session."""
        try:
            work()
        except Failed as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the deployer must hear of it
            self._fail(Failed(f"kabroadcast has a fault: {type(error).__name__}: {error}"))

    def _fail(self, failure: Failed) -> None:
        with self.changed:
            self.failure = self.failure or failure
            self.changed.notify_all()

    def _obey(self, control: Control) -> None:
        line = control.line(self.document.session_bound)
        if line is not None:
            names = json.loads(line)
            upstreams = [Upstream(one["name"], one["address"], one["port"]) for one in names["upstreams"]]
            source = names["source"]
            upstreams.append(Upstream(source["name"], source["address"], source["port"], source=True))
            self.receiver = Receiver(self.document, self.ring, upstreams)
            self.phase = "transfer"
            threading.Thread(target=self._guard, args=(self.receiver.run,), daemon=True).start()
            control.drain()
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _write(self) -> None:
        for block in self._blocks(self.sink_reader):
            self.sink.write(block)
        self.phase = "sync"
        self.sink.close()
        with self.changed:
            self.written = True
            self.changed.notify_all()

    def _sum(self) -> None:
        # Beside the writing and not in it: where there are two processors, neither waits for the other.
        digest = hashlib.sha256()
        for block in self._blocks(self.digest_reader):
            digest.update(block)
        with self.changed:
            self.digest = digest.hexdigest()
            self.changed.notify_all()

    def _blocks(self, reader: Reader) -> Iterator[bytearray]:
        while reader.position < len(self.document.hashes):
            block = self.ring.wait(reader, HEARTBEAT)
            if block is not None:
                yield block
                self.ring.advance(reader)


def available_memory() -> int:
    """Returns the bytes that programs can still get."""
    with open("/proc/meminfo", "rb") as table:
        for line in table:
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def report(line: dict[str, object]) -> None:
    """Prints one line; a deployer that no longer listens has ended the session, which standard input tells."""
    content = (json.dumps(line) + "\n").encode()
    try:
        while content:
            content = content[os.write(1, content) :]
    except BrokenPipeError:
        return


def main() -> int:
    """Runs one session; returns 0 when everything was received, proved and written."""
    control = Control()
    try:
        document = Document(control.line(60) or b"")
        number_file = f"{document.run_directory}/kabroadcast-{document.address}-{document.port}.pid"
        take_over(number_file)
    except (Failed, KeyError, TypeError, ValueError, OSError) as error:
        sys.stderr.write(f"kabroadcast: {error}\n")
        return 2
    session = Session(document)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, session.abandon)
    signal.alarm(int(document.session_bound) + 1)
    try:
        return session.run(control)
    finally:
        give_back(number_file)
