"""One session at a time on an address and port: a later one ends an earlier one, programs and all."""

# pathlib would double the time that the imports take:
# ruff: noqa: PTH105, PTH108, PTH123

import os
import signal
import time

from .failure import Failed


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
