"""Where the stream goes on the node: into tar, or onto a device, through a decompressor if there is one."""

# pathlib would double the time that the imports take:
# ruff: noqa: PTH112, PTH116

import errno
import fcntl
import os
import stat
import subprocess
import threading

from .document import DECOMPRESSORS, Document
from .failure import Failed
from .store import Store

TAR = ("tar", "-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--warning=no-timestamp")
PIPE_BYTES = 1 << 20
WRITE_BYTES = 1 << 20
WORDS_LIMIT = 8192
QUOTED_LINES = 3


class Sink:
    """Where the stream goes: into tar, or onto a device, through a decompressor if there is one."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.children: list[tuple[str, subprocess.Popen[bytes]]] = []
        self.words = bytearray()
        self.listener: threading.Thread | None = None
        self.entry = -1  # file descriptor that takes the stream
        self.device = -1
        self.is_pipe = True
        self.zero_copy = True

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
            self.is_pipe = stat.S_ISFIFO(os.fstat(self.device).st_mode)
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

    def write(self, store: Store, position: int, length: int) -> int:
        """Writes bytes of the stream and returns how many; raises Failed with the programs' own words at their end."""
        offset, length = store.extent(position, min(length, WRITE_BYTES))
        try:
            return self._give(store, offset, length)
        except BrokenPipeError:
            self._finish_programs()
            raise Failed("unpacking ended before the end of the file") from None
        except OSError as error:
            raise Failed(f"writing {self.document.target} failed: {error.strerror}") from error

    def _give(self, store: Store, offset: int, length: int) -> int:
        """Gives bytes of the memory file on, without a copy of our own where the kernel can."""
        if self.is_pipe and store.whole:
            return os.splice(store.descriptor, self.entry, length, offset_src=offset)
        if not self.is_pipe and self.zero_copy:
            try:
                return os.sendfile(self.entry, store.descriptor, offset, length)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self.zero_copy = False
        # A pipe holds pages and not bytes: those of a sliding window change while tar has yet to read them.
        return os.write(self.entry, os.pread(store.descriptor, length, offset))

    def close(self) -> None:
        """Waits for the programs, and until everything is on the disk."""
        self._finish_programs()
        try:
            if self.device < 0:
                sync_file_system(self.document.target)
            elif stat.S_IFMT(os.fstat(self.device).st_mode) in {stat.S_IFBLK, stat.S_IFREG}:
                os.fsync(self.device)
            if self.device >= 0:
                # The next step may mount it, which nobody else may hold then.
                os.close(self.device)
                self.device = -1
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
