"""Runs a program that can only log to syslog, and prints what it logs.

in.tftpd is one, and who fetched which file is the first thing one wants to know when a machine does not
boot. So it gets a /dev of its own, in a mount namespace of its own (the caller's `unshare --mount`), and
its /dev/log is read here. The host's /dev and syslog are untouched.
"""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from kadeploy_lab.commands import find_program, run

_LOOP_SECONDS = 1.0
# `<30>Nov 22 21:17:57 in.tftpd[11559]: …`: priority and a date without a year.
_PREFIX = re.compile(r"^<\d+>(?:\w{3} [ \d]\d [\d:]{8} )?")


def readable(datagram: bytes) -> str:
    """What a program told syslog, without syslog's prefix."""
    return _PREFIX.sub("", datagram.decode(errors="replace")).rstrip("\n\0")


def main(command: Sequence[str]) -> int:
    """Runs the command until it ends or this process is asked to stop."""
    argv = [find_program(command[0]), *command[1:]]
    signal.signal(signal.SIGTERM, _stop)
    run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=64k", "kalab-dev", "/dev"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind("/dev/log")
        Path("/dev/log").chmod(0o666)
        log.settimeout(_LOOP_SECONDS)
        with subprocess.Popen(argv) as server:
            try:
                return _copy_log(log, server)
            finally:
                server.terminate()


def _copy_log(log: socket.socket, server: "subprocess.Popen[bytes]") -> int:
    while server.poll() is None:
        try:
            line = readable(log.recv(8192))
        except TimeoutError:
            continue
        print(time.strftime("%F %T"), line, flush=True)
    print(f"The program ended with status {server.returncode}.", flush=True)
    return 1


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
