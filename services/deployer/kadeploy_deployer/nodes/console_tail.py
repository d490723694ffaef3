"""The end of what a serial console said, line by line with times, within a bound."""

import re
from calendar import timegm
from collections import deque
from collections.abc import Sequence
from time import gmtime, strftime, strptime

MOST_BYTES = 64 * 1024
LONGEST_LINE = 2048
# What moves cursors and changes colours.
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][A-Za-z0-9]|[=>78cDEHM])")
# Who knows it can pass for the deployment environment of a deployment.
_TOKEN = re.compile(r"(kadeploy\.token=)\S+")
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z (.*)")
_FORM = "%Y-%m-%dT%H:%M:%S"


class ConsoleTail:
    """Keeps the last 64 KiB."""

    def __init__(self) -> None:
        self._lines: deque[tuple[float, str]] = deque()
        self._bytes = 0
        self._rest = ""

    def add(self, data: bytes, *, time: float) -> None:
        """Adds what came at a time, in seconds since 1970."""
        text = self._rest + data.decode("utf-8", errors="replace")
        *lines, self._rest = re.split(r"\r\n|\n|\r", text)
        if len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = ""
        for line in lines:
            self._keep(time, line)

    def lines(self, *, time: float) -> Sequence[tuple[float, str]]:
        """Returns the lines with their times. `time`: of the one that has not ended yet."""
        rest = _clean(self._rest)
        return [*self._lines, *([(time, rest)] if rest else [])]

    def text(self, *, time: float) -> str:
        """Returns the lines as a text, each with its time in front. `time`: as for `lines`."""
        return "".join(f"{strftime(_FORM, gmtime(when))}Z {line}\n" for when, line in self.lines(time=time))

    def _keep(self, time: float, line: str) -> None:
        clean = _clean(line)[:LONGEST_LINE]
        if not clean:
            return
        self._lines.append((time, clean))
        self._bytes += len(clean.encode())
        while self._bytes > MOST_BYTES:
            _, oldest = self._lines.popleft()
            self._bytes -= len(oldest.encode())


def read_lines(text: str) -> list[tuple[float, str]]:
    """Returns the lines of a text that `ConsoleTail.text` has made."""
    found = (_STAMPED.fullmatch(line) for line in text.splitlines())
    return [(float(timegm(strptime(each.group(1), _FORM))), each.group(2)) for each in found if each]


def _clean(line: str) -> str:
    line = _TOKEN.sub(r"\1<token>", line)
    return "".join(letter for letter in _ESCAPES.sub("", line) if letter.isprintable() or letter == "\t").rstrip()
