"""Connects a terminal to the serial console of a node, both ways, until Ctrl-]."""

import os
import select
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kadeploy_lab.errors import LabError

_ESCAPE = b"\x1d"  # Ctrl-]
_CHUNK = 4096


def attach(serial_socket: Path) -> None:
    """Copies between this terminal and the node until one of them ends it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.connect(str(serial_socket))
        except (FileNotFoundError, ConnectionRefusedError) as off:
            raise LabError("The node is off: it has a console only while it has power.") from off
        with _raw_terminal(sys.stdin.fileno()):
            _copy(line, sys.stdin.fileno(), sys.stdout.fileno())


def _copy(line: socket.socket, keyboard: int, screen: int) -> None:
    while True:
        ready, _, _ = select.select([line.fileno(), keyboard], [], [])
        if line.fileno() in ready:
            said = line.recv(_CHUNK)
            if not said:
                return
            os.write(screen, said)
        if keyboard in ready:
            typed = os.read(keyboard, _CHUNK)
            before, escape, _ = typed.partition(_ESCAPE)
            line.sendall(before)
            if escape or not typed:
                return


@contextmanager
def _raw_terminal(descriptor: int) -> Iterator[None]:
    """Every key goes to the node, Ctrl-C too; the terminal is put back as it was."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
