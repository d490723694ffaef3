"""Counts the processor time of everything that a measurement starts, and of everything else meanwhile."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_V1 = Path("/sys/fs/cgroup/cpuacct")
_V2 = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds: `ours` of the processors by the account, `others` by the rest of the machine, `passed` on the wall."""

    ours: float
    others: float
    passed: float

    @property
    def others_share(self) -> float:
        """The part of the machine that others used."""
        return self.others / (self.passed * (os.cpu_count() or 1)) if self.passed else 0.0


class CpuAccount:
    """A control group. `enter` is put before the argv of what is to be counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = (0.0, 0.0, 0.0)

    @property
    def enter(self) -> list[str]:
        """Returns what starts a program in the account."""
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self._path / "cgroup.procs")]

    def begin(self) -> None:
        """Begins to count."""
        self._start = self._read()

    def end(self) -> Usage:
        """Returns what was used since."""
        ours, busy, now = (late - early for late, early in zip(self._read(), self._start, strict=True))
        return Usage(ours=ours, others=max(0.0, busy - ours), passed=now)

    def _read(self) -> tuple[float, float, float]:
        if (self._path / "cpuacct.usage").exists():
            ours = int((self._path / "cpuacct.usage").read_text()) / 1e9
        else:
            ours = int((self._path / "cpu.stat").read_text().split()[1]) / 1e6
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle = fields[3] + fields[4]
        return ours, (sum(fields) - idle) / os.sysconf("SC_CLK_TCK"), time.monotonic()


@contextmanager
def cpu_account() -> Iterator[CpuAccount]:
    """Makes an account, and removes it when everything in it has ended."""
    root = _V1 if (_V1 / "cpuacct.usage").exists() else _V2
    path = root / f"kadeploy-bench-{os.getpid()}"
    path.mkdir()
    try:
        yield CpuAccount(path)
    finally:
        for _ in range(100):
            try:
                path.rmdir()
                break
            except OSError:
                # The last processes are still ending.
                time.sleep(0.1)
