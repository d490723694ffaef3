"""Speaks QMP, the control language of QEMU: one command, one answer."""

import json
import socket
from pathlib import Path
from typing import Any

from kadeploy_lab.errors import LabError

_SECONDS = 3.0


def execute(path: Path, command: str) -> Any:
    """Runs one QMP command over the machine's control socket and returns what it returned."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(_SECONDS)
            link.connect(str(path))
            with link.makefile("rwb") as stream:
                stream.readline()  # the greeting
                for step in ("qmp_capabilities", command):
                    stream.write(json.dumps({"execute": step}).encode() + b"\n")
                    stream.flush()
                    answer = _answer(stream.readline, step)
    except OSError as broken:
        raise LabError(f"QEMU does not answer on {path}: {broken}.") from broken
    return answer


def _answer(read_line: Any, command: str) -> Any:
    while line := read_line():
        message = json.loads(line)
        if "return" in message:
            return message["return"]
        if "error" in message:
            raise LabError(f"QEMU refused '{command}': {message['error'].get('desc', message)}.")
        # anything else is an event; the answer comes after it
    raise LabError(f"QEMU closed the line before it answered '{command}'.")
