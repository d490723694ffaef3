"""Reads the ends of the log files that the settings name. They are opened for reading alone, each time anew."""

import os
import stat
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from kadeploy_bootctl.domain.boot_log import BootLog, BootLogRecord, BootLogSource
from kadeploy_bootctl.logs.leases import LeaseReader
from kadeploy_bootctl.logs.recognition import make_reader

MOST_BYTES = 4 << 20
"""Of each file: the DHCP messages of a thousand machines."""
LONGEST_LINE = 2000


class LogFiles:
    """The log files of this host. `clock`: gives the present, with a time zone."""

    def __init__(self, paths: Sequence[Path], *, clock: Callable[[], datetime]) -> None:
        self._paths = tuple(paths)
        self._clock = clock

    def read(self) -> BootLog:
        """Returns what stands in the files now; one that cannot be read is named."""
        records: list[BootLogRecord] = []
        sources = []
        for path in self._paths:
            try:
                lines = _last_lines(path)
            except OSError as error:
                sources.append(BootLogSource(path=str(path), problem=error.strerror or str(error)))
                continue
            sources.append(BootLogSource(path=str(path)))
            read = make_reader(str(path), now=self._clock())
            leases = LeaseReader(str(path))
            # Patterns take longer than the length of a line says; no server writes lines as long as that.
            short = (line[:LONGEST_LINE] for line in lines)
            records.extend(record for line in short if (record := read(line) or leases.read(line)) is not None)
        records.sort(key=lambda record: record.time)
        return BootLog(records=tuple(records), sources=tuple(sources))


def _last_lines(path: Path) -> list[str]:
    # Not blocking: a pipe in the place of a log must hold nobody up.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "is no regular file")
        skipped = max(0, status.st_size - MOST_BYTES)
        file.seek(skipped)
        lines = file.read(MOST_BYTES).decode("utf-8", errors="replace").splitlines()
    return lines[1:] if skipped else lines
