"""Speaks QMP, the control language of QEMU: one command, one answer."""

import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kadeploy_lab.errors import LabError

_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One QMP command. `until` names an event that has to come after it, before it counts as done."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    until: str = ""

    def line(self) -> bytes:
        """The command as QEMU reads it."""
        arguments = {"arguments": dict(self.arguments)} if self.arguments else {}
        return json.dumps({"execute": self.name, **arguments}).encode() + b"\n"


def execute(path: Path, *commands: Command) -> Any:
    """Runs QMP commands over the machine's control socket and returns what the last one returned."""
    answer = None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(_SECONDS)
            link.connect(str(path))
            with link.makefile("rwb") as stream:
                stream.readline()  # the greeting
                for command in (Command(name="qmp_capabilities"), *commands):
                    stream.write(command.line())
                    stream.flush()
                    answer = _answer(stream.readline, command)
    except OSError as broken:
        raise LabError(f"QEMU does not answer on {path}: {broken}.") from broken
    return answer


def _answer(read_line: Callable[[], bytes], command: Command) -> Any:
    answer: list[Any] = []
    awaited = {command.until} - {""}
    while line := read_line():
        message = json.loads(line)
        if "error" in message:
            raise LabError(f"QEMU refused '{command.name}': {message['error'].get('desc', message)}.")
        if "return" in message:
            answer.append(message["return"])
        awaited.discard(message.get("event", ""))
        if answer and not awaited:
            return answer[0]
    raise LabError(f"QEMU closed the line before it answered '{command.name}'.")
