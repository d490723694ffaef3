"""One service as a process: started cut loose, found again by its pid file, ended with a bound."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kadeploy_demo.errors import DemoError

# A service ends within 25 s.
STOP_SECONDS = 30.0
LOG_MODE = 0o640

# Those that this process started. They may outlive it; until then somebody has to take their exit status.
_children: "dict[int, subprocess.Popen[bytes]]" = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProcess:
    """A service's process, whoever started it.

    The pid file holds its number and when it started, so that a number used again is not mistaken for it.
    """

    pid_file: Path
    log_file: Path

    @property
    def pid(self) -> int | None:
        """Its number while it runs, else None."""
        try:
            number, started = self.pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(number) if _start_time(int(number)) == started else None

    def start(self, command: Sequence[str]) -> None:
        """Starts it in a session of its own, its words going to the log file."""
        descriptor = os.open(self.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, LOG_MODE)
        with os.fdopen(descriptor, "ab") as log:
            process = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        _children[process.pid] = process
        self.pid_file.write_text(f"{process.pid} {_start_time(process.pid)}\n")

    def stop(self) -> bool:
        """Ends it, at last by force; says whether it ran."""
        ran = self.pid is not None
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._end_by(number)
        if self.pid is not None:
            raise DemoError(f"process {self.pid} ({self.pid_file.stem}) cannot be ended")
        self.pid_file.unlink(missing_ok=True)
        return ran

    def kill(self) -> None:
        """Ends it as a crash would: at once, with no chance to tidy up."""
        self._end_by(signal.SIGKILL)

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log_file.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a word"

    def _end_by(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is None:
            return
        deadline = time.monotonic() + STOP_SECONDS
        _signal(pid, number)
        while self.pid is not None and time.monotonic() < deadline:
            time.sleep(0.1)
        _reap(pid)


def _start_time(pid: int) -> str:
    """Returns when a process started, in ticks since boot; empty when it is gone or only a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # gone in between: what was wanted


def _reap(pid: int) -> None:
    """Takes the exit status of a service that this process started, so that it does not stay as a zombie."""
    if (child := _children.get(pid)) is not None and child.poll() is not None:
        del _children[pid]
