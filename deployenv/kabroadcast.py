#!/usr/bin/python3
"""The node's side of the broadcast: pulls a file from the nodes before it, writes it, and serves the nodes behind it.

One program for one session. It reads two lines of JSON from standard input (what to receive, then from whom), prints
one JSON object per line, and ends when standard input does: nothing of it outlives the session that started it.
The protocol and its reasons are in docs/broadcast.md.

It is one file, because it is put on the nodes as one, and it starts on machines that are slow to start it, so it
imports little: blake3, collections.abc, errno, fcntl, hashlib, hmac, json, os, select, signal, socket, stat, struct,
subprocess, sys, threading, time. Programs that it runs: tar, gzip, bzip2, xz, zstd, sync.
"""

# pathlib would double the time that the imports take:
# ruff: noqa: PTH105, PTH108, PTH112, PTH116, PTH123

import errno
import fcntl
import hashlib
import hmac
import json
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import blake3

PROTOCOL = b"kabroadcast/1"
FRAME = struct.Struct(">cBI")  # kind, flag, length of what follows
BLOCK = b"B"  # the next block follows
WAIT = b"W"  # still here, the next block is not
GONE = b"G"  # no longer in memory: ask another
SLOW = b"S"  # dropped, because all others waited for this node: ask the source
FAILED = b"X"  # cannot give the block at all; a sentence follows
HELD = 1  # flag: the sender itself is what is slow, not those before it

DECOMPRESSORS = {
    "none": (),
    "gzip": ("gzip", "-dc"),
    "bzip2": ("bzip2", "-dc"),
    "xz": ("xz", "-dc", "--no-sparse"),
    "zstd": ("zstd", "-dcq", "--no-sparse"),
}
TAR = ("tar", "-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--warning=no-timestamp")

HEARTBEAT = 1.0  # seconds between two lines of progress, and between two WAIT frames
DOCUMENT_LIMIT = 64 << 20
REQUEST_LIMIT = 512
DOWNSTREAM_LIMIT = 16
PIPE_BYTES = 1 << 20
WORDS_LIMIT = 8192
QUOTED_LINES = 3
NOTES_LIMIT = 50
NOTE_LIMIT = 300
DESCRIPTION_LIMIT = 2000
LEAST_BLOCKS = 4  # in memory, however little memory there is
PATIENCE_SHARE = 10  # a neighbour may cost its bound and a tenth of the session


class Failed(Exception):
    """The session cannot succeed; `str()` is one sentence."""

    def __init__(self, description: str, reason: str = "transfer_failed") -> None:
        super().__init__(description)
        self.reason = reason


class Left(Exception):
    """An upstream gave no block; `str()` says why. `barred`: never ask it again. `to_source`: ask no node again."""

    def __init__(self, why: str, *, barred: bool = False, to_source: bool = False, closed: bool = False) -> None:
        super().__init__(why)
        self.barred = barred
        self.to_source = to_source
        self.closed = closed


class Upstream:
    """Someone who may have the blocks."""

    def __init__(self, name: str, address: str, port: int, *, source: bool = False) -> None:
        self.name = name
        self.address = address
        self.port = port
        self.source = source
        self.blocks = 0


class Document:
    """The first line of standard input."""

    def __init__(self, text: bytes) -> None:
        document = json.loads(text)
        if document["version"] != 1:
            raise ValueError(f"version {document['version']} is not known here")
        file, sink, bounds = document["file"], document["sink"], document["bounds"]
        self.token: str = document["token"]
        self.name: str = document["name"]
        self.address: str = document["listen"]["address"]
        self.port: int = document["listen"]["port"]
        self.run_directory: str = document["run_directory"]
        self.size: int = file["size"]
        self.block_size: int = file["block_size"]
        self.hashes: list[bytes] = [bytes.fromhex(text) for text in file["blocks"]]
        self.sha256: str = file["sha256"]
        self.kind: str = sink["kind"]
        self.compression: str = sink["compression"]
        self.target: str = sink["target"]
        self.ring_bytes: int = document["ring_bytes"]
        self.session_bound: float = bounds["session"]
        self.connect_bound: float = bounds["connect"]
        self.stall_bound: float = bounds["stall"]
        self.hold_bound: float = bounds["hold"]
        self.give_up_bound: float = bounds["give_up"]
        if len(self.token.split()) != 1 or len(self.name.split()) != 1:
            raise ValueError("token and name must be one word each")
        if self.kind not in {"tar", "dd"} or self.compression not in DECOMPRESSORS:
            raise ValueError(f"a sink of kind {self.kind} with compression {self.compression} is not known here")
        if len(self.hashes) != -(-self.size // self.block_size):
            raise ValueError("the number of blocks does not fit the size")

    def length(self, index: int) -> int:
        """Returns the number of bytes of a block."""
        return min(self.block_size, self.size - index * self.block_size)


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


class Sink:
    """Where the stream goes: into tar, or onto a device, through a decompressor if there is one."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.children: list[tuple[str, subprocess.Popen[bytes]]] = []
        self.words = bytearray()
        self.listener: threading.Thread | None = None
        self.entry = -1  # file descriptor that takes the stream
        self.device = -1

    def open(self) -> None:
        """Starts the programs, so that one that is missing shows before anything is sent."""
        target = self.document.target
        commands = [DECOMPRESSORS[self.document.compression]] if self.document.compression != "none" else []
        if self.document.kind == "tar":
            if not os.path.isdir(target):
                raise Failed(f"there is no directory {target} to unpack into")
            commands.append((*TAR, "-C", target, "-f", "-"))
        else:
            self.device = open_device(target)
        if not commands:
            self.entry = self.device
            return
        words, child_words = os.pipe()
        taken, self.entry = pipe()
        for index, command in enumerate(commands):
            given = self.device
            if index < len(commands) - 1:
                following, given = pipe()
            try:
                child = subprocess.Popen(
                    command,
                    stdin=taken,
                    stdout=given if given >= 0 else child_words,
                    stderr=child_words,
                    env={"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C"},
                )
            except OSError as error:
                raise Failed(f"{command[0]} cannot be started: {error.strerror}") from error
            self.children.append((command[0], child))
            os.close(taken)
            if index < len(commands) - 1:
                os.close(given)
                taken = following
        os.close(child_words)
        self.listener = threading.Thread(target=self._listen, args=(words,), daemon=True)
        self.listener.start()

    def write(self, block: bytearray) -> None:
        """Writes a block; raises Failed with the programs' own words when they take no more."""
        view = memoryview(block)
        while view:
            try:
                view = view[os.write(self.entry, view) :]
            except BrokenPipeError:
                self._finish_programs()
                raise Failed("unpacking ended before the end of the file") from None
            except OSError as error:
                raise Failed(f"writing {self.document.target} failed: {error.strerror}") from error

    def close(self) -> None:
        """Waits for the programs, and until everything is on the disk."""
        self._finish_programs()
        try:
            if self.device < 0:
                sync_file_system(self.document.target)
            elif stat.S_IFMT(os.fstat(self.device).st_mode) in {stat.S_IFBLK, stat.S_IFREG}:
                os.fsync(self.device)
        except OSError as error:
            raise Failed(f"writing {self.document.target} failed: {error.strerror}") from error

    def kill(self) -> None:
        """Ends the programs at once."""
        for _, child in self.children:
            if child.poll() is None:
                child.kill()

    def _finish_programs(self) -> None:
        if not self.children:
            return
        os.close(self.entry)
        statuses = [child.wait() for _, child in self.children]
        if self.listener is not None:
            self.listener.join(5)
        if not any(statuses):
            return
        ends = ", ".join(
            f"{name} ended {describe_status(status)}"
            for (name, _), status in zip(self.children, statuses, strict=True)
            if status
        )
        lines = [line for line in self.words.decode(errors="replace").splitlines() if line.strip()]
        more = f" (and {len(lines) - QUOTED_LINES} more lines)" if len(lines) > QUOTED_LINES else ""
        raise Failed(f"{ends}: {'; '.join(lines[:QUOTED_LINES])}{more}")

    def _listen(self, words: int) -> None:
        # The first words tell what happened; what comes later follows from it.
        while chunk := os.read(words, 4096):
            if len(self.words) < WORDS_LIMIT:
                self.words += chunk
        os.close(words)


class Control:
    """Standard input, line by line."""

    def __init__(self) -> None:
        self.rest = b""

    def line(self, seconds: float) -> bytes | None:
        """Returns the next line, None at the end of the input; raises Failed when it does not come in time."""
        parts = [self.rest]
        total = len(self.rest)
        deadline = time.monotonic() + seconds
        while b"\n" not in parts[-1]:
            ready, _, _ = select.select([0], [], [], max(0.0, deadline - time.monotonic()))
            if not ready or total > DOCUMENT_LIMIT:
                raise Failed("no complete instruction came on standard input")
            chunk = os.read(0, 1 << 16)
            if not chunk:
                return None
            parts.append(chunk)
            total += len(chunk)
        line, _, self.rest = b"".join(parts).partition(b"\n")
        return line

    def drain(self) -> None:
        """Returns at the end of the input."""
        while os.read(0, 4096):
            pass


class Receiver:
    """Pulls the blocks in order, from the nearest upstream that has them."""

    def __init__(self, document: Document, ring: Ring, upstreams: list[Upstream]) -> None:
        self.document = document
        self.ring = ring
        self.upstreams = upstreams
        self.current = ""
        self.notes: list[str] = []
        self.starved = 0.0
        self.bytes = 0

    def run(self) -> None:
        """Returns when every block came; raises Failed when nobody gives the next one."""
        usable = list(self.upstreams)
        index = 0
        last_block = time.monotonic()
        reasons: dict[str, str] = {}
        while not self._complete():
            if index >= len(usable):
                reason = "; ".join(f"{name}: {why}" for name, why in reasons.items())
                if time.monotonic() - last_block > self.document.give_up_bound:
                    raise Failed(f"nobody gives block {self.ring.head} of {len(self.document.hashes)}: {reason}")
                time.sleep(min(1.0, self.document.give_up_bound / 10))
                index = 0
            upstream = usable[index]
            before = self.ring.head
            try:
                self._draw_patiently(upstream)
            except Left as left:
                self._note(f"left {upstream.name} at block {self.ring.head}: {left}")
                if self.ring.head > before:
                    last_block = time.monotonic()
                    reasons.clear()
                reasons[upstream.name] = str(left)
                index += 1
                if left.to_source:
                    usable, index = [one for one in usable if one.source], 0
                elif left.barred and not upstream.source:
                    usable.remove(upstream)
                    index -= 1

    def _note(self, text: str) -> None:
        if len(self.notes) < NOTES_LIMIT:
            self.notes.append(text[:NOTE_LIMIT])

    def _complete(self) -> bool:
        return self.ring.head >= len(self.document.hashes)

    def _draw_patiently(self, upstream: Upstream) -> None:
        """Draws; asks once more when the connection was closed, for that is how a node that was too slow is told."""
        try:
            self._draw(upstream)
        except Left as left:
            if not left.closed:
                raise
            self._draw(upstream)

    def _draw(self, upstream: Upstream) -> None:
        self.current = upstream.name
        self.starved = 0.0
        document = self.document
        try:
            with socket.create_connection((upstream.address, upstream.port), document.connect_bound) as connection:
                connection.settimeout(document.stall_bound)
                first = str(self.ring.head).encode()
                connection.sendall(
                    b" ".join((PROTOCOL, document.token.encode(), first, document.name.encode())) + b"\n"
                )
                while not self._complete():
                    self._take(connection, upstream)
        except TimeoutError as error:
            raise Left("no answer in time") from error
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Left("it closed the connection", closed=True) from error
        except OSError as error:
            raise Left(error.strerror or str(error)) from error

    def _take(self, connection: socket.socket, upstream: Upstream) -> None:
        """Takes one frame."""
        starving = self.ring.idle()
        start = time.monotonic()
        deadline = start + 4 * self.document.stall_bound
        kind, flag, length = FRAME.unpack(receive(connection, FRAME.size, deadline))
        if starving and flag & HELD and not upstream.source:
            self.starved += time.monotonic() - start
            if self.starved > self.ring.patience(self.document.hold_bound):
                raise Left("it is much slower than this node", barred=True)
        if kind == BLOCK:
            self._accept(connection, upstream, length, deadline)
        elif kind == GONE:
            raise Left("it no longer has the block")
        elif kind == SLOW:
            self.ring.found_slow = True
            raise Left("all others waited for this node", to_source=True)
        elif kind == FAILED:
            sentence = receive(connection, min(length, 1000), deadline).decode(errors="replace")
            if upstream.source:
                raise Failed(f"{upstream.name} cannot give block {self.ring.head}: {sentence}")
            raise Left(sentence)
        elif kind != WAIT:
            raise Left("it does not speak the protocol", barred=True)

    def _accept(self, connection: socket.socket, upstream: Upstream, length: int, deadline: float) -> None:
        index = self.ring.head
        if length != self.document.length(index):
            raise Left(f"block {index} has {length} bytes instead of {self.document.length(index)}", barred=True)
        block = receive(connection, length, deadline)
        if blake3.blake3(block).digest() != self.document.hashes[index]:
            raise Left(f"block {index} is not the one that was registered", barred=True)
        upstream.blocks += 1
        self.bytes += length
        self.ring.add(block)


class Server:
    """Gives the blocks to the nodes behind this one."""

    def __init__(self, document: Document, ring: Ring) -> None:
        self.document = document
        self.ring = ring
        self.listener = listen(document.address, document.port)
        self.port: int = self.listener.getsockname()[1]
        self.places = threading.Semaphore(DOWNSTREAM_LIMIT)

    def run(self) -> None:
        """Accepts connections for ever."""
        while True:
            connection, _ = self.listener.accept()
            if not self.places.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._answer(connection)
        except OSError:
            # The node behind left or was dropped; it asks another, and says so in its own result.
            return
        finally:
            self.places.release()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(self.document.stall_bound)
        protocol, token, first, name = (receive_line(connection).split(b" ") + [b""] * 4)[:4]
        if protocol != PROTOCOL or not first.isdigit():
            return
        if not hmac.compare_digest(token, self.document.token.encode()):
            return
        reader = Reader(int(first), name.decode(errors="replace"), connection)
        if reader.name in self.ring.dropped:
            connection.sendall(FRAME.pack(SLOW, 0, 0))
            return
        if not self.ring.join(reader):
            connection.sendall(FRAME.pack(GONE, 0, 0))
            return
        # From here on only the ring decides how long a node may take: it hangs up when that harms this one.
        connection.settimeout(None)
        try:
            self._stream(connection, reader)
        finally:
            self.ring.leave(reader)

    def _stream(self, connection: socket.socket, reader: Reader) -> None:
        while reader.position < len(self.document.hashes):
            block = self.ring.wait(reader, HEARTBEAT)
            flag = HELD if self.ring.held or self.ring.found_slow else 0
            if block is None:
                connection.sendall(FRAME.pack(WAIT, flag, 0))
                continue
            connection.sendall(FRAME.pack(BLOCK, flag, len(block)))
            connection.sendall(block)
            self.ring.advance(reader)


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


def receive(connection: socket.socket, length: int, deadline: float) -> bytearray:
    """Returns exactly so many bytes; raises Left when they do not come by the deadline."""
    content = bytearray(length)
    view = memoryview(content)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise Left("it closed the connection", closed=True)
        if time.monotonic() > deadline:
            raise Left("it gives too few bytes a second")
        view = view[count:]
    return content


def receive_line(connection: socket.socket) -> bytes:
    """Returns a request without its line feed, or nothing when it is none."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = connection.recv(REQUEST_LIMIT)
        if not chunk or len(line) > REQUEST_LIMIT:
            return b""
        line += chunk
    return line[:-1]


def hang_up(connection: socket.socket) -> None:
    """Wakes whoever is blocked in sending on it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The other side was faster.
        return


def listen(address: str, port: int) -> socket.socket:
    """Returns a listener on the node's own address, or on all where the deployer knows the node by another."""
    for place in (address, ""):
        listener = socket.socket(socket.AF_INET6 if ":" in place else socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((place, port))
            listener.listen(DOWNSTREAM_LIMIT)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRNOTAVAIL and place:
                continue
            raise Failed(f"cannot listen on port {port}: {error.strerror}") from error
        else:
            return listener
    raise Failed(f"cannot listen on port {port}")


def open_device(path: str) -> int:
    """Opens a device that nobody uses; O_EXCL refuses one that is mounted."""
    try:
        exclusive = os.O_EXCL if stat.S_ISBLK(os.stat(path).st_mode) else 0
        return os.open(path, os.O_WRONLY | exclusive)
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}") from error


def sync_file_system(path: str) -> None:
    """Brings the file system of a path to its disk; unlike os.sync(), this tells of failed writes."""
    done = subprocess.run(("sync", "-f", path), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise Failed(f"not everything reached the disk: {done.stderr.decode(errors='replace').strip()[:500]}")


def pipe() -> tuple[int, int]:
    """Returns both ends of a large pipe."""
    ends = os.pipe()
    try:
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        # The system's limit is lower; a small pipe does it too.
        return ends
    return ends


def describe_status(status: int) -> str:
    """Returns how a program ended, in words."""
    return f"with status {status}" if status >= 0 else f"by signal {-status}"


def available_memory() -> int:
    """Returns the bytes that programs can still get."""
    with open("/proc/meminfo", "rb") as table:
        for line in table:
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def start_time(pid: int) -> str:
    """Returns what tells a process from another with the same number; nothing when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as table:
            fields = table.read().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == b"Z" else fields[19].decode()


def take_over(path: str) -> None:
    """Ends an earlier session on the same address and port, programs and all, and leaves this one's number."""
    try:
        with open(path) as file:
            number, _, born = file.read().partition(" ")
    except FileNotFoundError:
        number, born = "0", ""
    pid = int(number) if number.isdigit() else 0
    if pid > 1 and pid != os.getpid():
        for word in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + 2
            while start_time(pid) == born and time.monotonic() < deadline:
                signal_group(pid, word)
                time.sleep(0.1)
        if start_time(pid) == born:
            raise Failed(f"an earlier session (process {pid}) does not end")
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    with open(f"{path}.new", "w") as file:
        file.write(f"{os.getpid()} {start_time(os.getpid())}")
    os.replace(f"{path}.new", path)


def give_back(path: str) -> None:
    """Removes this session's number, unless a later session put its own in the place."""
    try:
        with open(path) as file:
            if file.read().partition(" ")[0] == str(os.getpid()):
                os.unlink(path)
    except FileNotFoundError:
        # Someone else cleaned up: what was wanted.
        return


def signal_group(pid: int, number: int) -> None:
    """Signals a process and those that it started."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        # It ended meanwhile: what was wanted.
        return


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


if __name__ == "__main__":
    sys.exit(main())
