"""The unpacked content of a packed file, by the program that the nodes unpack it with.

What a node cannot unpack must not pass here, and the other way round: several streams one after the other, large
windows, and whatever else a library would judge by itself. The program is no shell's child: it has one argument list,
an environment of two variables, bounds of memory and time, and ends with its reader. Synchronous: it runs in threads.
"""

import io
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final, Self, cast

from kadeploy_deployer.adapters.verifying_reader import VerifyingReader
from kadeploy_deployer.ports import ImageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "none": (),
    "gzip": ("gzip", "-dc"),
    "bzip2": ("bzip2", "-dc"),
    "xz": ("xz", "-dc", "--no-sparse"),
    "zstd": ("zstd", "-dcq", "--no-sparse", "--long=31"),
}
"""As on the nodes: `kabroadcast.document.DECOMPRESSORS`."""

MOST_MEMORY_BYTES = 3 << 30
"""Room for the largest window of zstd, which is 2 GiB."""
MOST_PROCESSOR_SECONDS = 4 * 3600
MOST_WORDS_BYTES = 64 << 10
PART_BYTES = 1 << 20
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
ENDING_SECONDS = 10.0
WATCH_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    """A running program with its input, its output, and the file of what it says."""

    process: subprocess.Popen[bytes]
    entry: IO[bytes]
    output: IO[bytes]
    words: IO[bytes]


class UnpackedStream(io.RawIOBase):
    """What a packed file holds, from first to last. Leaving it ends the program; the packed file is read to its end.

    Args of the constructor:
        packed: the file; read by nobody else meanwhile.
        compression: of PROGRAMS.
        problem: begins the sentences about a file that cannot be unpacked.
        stopped: set when nobody wants the content any more.
    """

    def __init__(self, packed: VerifyingReader, compression: str, *, problem: str, stopped: threading.Event) -> None:
        self._packed = packed
        self._command = PROGRAMS[compression]
        self._problem = problem
        self._stopped = stopped
        self._program: _Program | None = None
        self._fault: ImageError | None = None
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Starts the program. Raises ImageError if it is not installed."""
        if self._command:
            program = self._program = _start(self._command)
            for work in (self._feed, self._watch):
                thread = threading.Thread(target=work, args=(program,), daemon=True)
                self._threads.append(thread)
                thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the program. Raises ImageError with its own words where it failed: the rest follows from that."""
        program = self._program
        if program is None:
            return
        try:
            if error is None:
                # A node unpacks everything that is there, also behind the end of the archive.
                while self._read(PART_BYTES):
                    pass
        finally:
            words = self._end(program)
        if self._fault is not None:
            raise self._fault from error
        if words and not self._stopped.is_set():
            raise ImageError(f"{self._problem}: {words}") from error

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Reads on. Raises ImageError."""
        view = memoryview(buffer)
        part = self._read(len(view))
        view[: len(part)] = part
        return len(part)

    def _read(self, length: int) -> bytes:
        if self._stopped.is_set():
            raise ImageError("reading the image was given up")
        if self._program is None:
            return self._packed.read(length) or b""
        return self._program.output.read(length)

    def _feed(self, program: _Program) -> None:
        """Gives the packed file to the program. Where that stops reading, the rest is left."""
        try:
            with suppress(BrokenPipeError), program.entry as entry:
                while part := self._packed.read(PART_BYTES):
                    view = memoryview(part)
                    while view:
                        view = view[entry.write(view) :]
        except ImageError as error:
            self._fault = error
        except OSError as error:
            self._fault = ImageError(f"{self._problem}: {error}")

    def _watch(self, program: _Program) -> None:
        """Ends the program when nobody wants its output any more: its reader may be waiting for it."""
        while not self._ended.wait(WATCH_SECONDS):
            if self._stopped.is_set():
                program.process.kill()
                return

    def _end(self, program: _Program) -> str:
        """Waits for the program and returns its words where it failed by itself."""
        program.output.close()
        try:
            status = program.process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            program.process.kill()
            status = program.process.wait()
        self._ended.set()
        for thread in self._threads:
            thread.join()
        with program.words as words:
            words.seek(0)
            said = words.read(MOST_WORDS_BYTES).decode(errors="replace").strip().splitlines()
        # A reader that leaves early ends the program by the broken pipe, which says nothing of the file.
        if status in {0, -signal.SIGPIPE}:
            return ""
        return said[0].strip() if said else f"{self._command[0]} ended with status {status}"


def _start(command: tuple[str, ...]) -> _Program:
    bounds = (
        f"--as={MOST_MEMORY_BYTES}",
        f"--cpu={MOST_PROCESSOR_SECONDS}",
        f"--fsize={MOST_WORDS_BYTES}",
        "--core=0",
    )
    words = tempfile.TemporaryFile()  # noqa: SIM115 - closed at its end
    try:
        process = subprocess.Popen(
            ("prlimit", *bounds, "--", *command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env=_ENVIRONMENT,
            bufsize=0,
        )
    except OSError as error:
        words.close()
        raise ImageError(f"prlimit and {command[0]} cannot be started: {error.strerror}") from error
    return _Program(
        process=process, entry=cast("IO[bytes]", process.stdin), output=cast("IO[bytes]", process.stdout), words=words
    )
