"""Runs programs: always an argument list, always with a bound, never through a shell."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kadeploy_lab.errors import LabError

# dnsmasq, in.tftpd and ip live in sbin, which is not on everybody's PATH, not even on that of `su`.
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin"))


def find_program(name: str) -> str:
    """The full path of a program that the lab needs."""
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        raise LabError(f"The program '{name}' is missing: run lab/setup-host to install it.")
    return found


def run(argv: Sequence[str], *, timeout: float = 30, stdin: str = "") -> str:
    """Runs a short command to its end and returns its output; its failure becomes a sentence."""
    command = [find_program(argv[0]), *argv[1:]]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as late:
        raise LabError(f"`{shlex.join(argv)}` did not end within {timeout:g} s.") from late
    if done.returncode != 0:
        said = "; ".join((done.stderr or done.stdout).strip().splitlines()[-2:])
        raise LabError(f"`{shlex.join(argv)}` failed: {said or f'exit status {done.returncode}'}.")
    return done.stdout


def exec_in(namespace: str, argv: Sequence[str]) -> list[str]:
    """The argument list that runs `argv` inside a network namespace."""
    return [find_program("ip"), "netns", "exec", namespace, *argv]


def start_service(namespace: str, argv: Sequence[str], log: Path) -> None:
    """Starts a service inside a namespace, cut loose from this process, its output in a file.

    It gets a session of its own, so that Ctrl-C at a terminal ends the caller and not the lab behind
    the caller's back, and init as its parent, so that nobody has to wait for it.
    """
    command = exec_in(namespace, [find_program("setsid"), "--fork", *argv])
    with log.open("ab") as output:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=30,
            check=True,
        )
