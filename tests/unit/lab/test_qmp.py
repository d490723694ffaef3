"""QMP, spoken with a machine."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadeploy_lab import qmp
from kadeploy_lab.errors import LabError

GREETING: dict[str, object] = {"QMP": {"version": {}, "capabilities": []}}


class ScriptedQemu:
    """Answers one QMP connection from a script, one entry per command, then hangs up."""

    def __init__(self, path: Path) -> None:
        self.commands: list[str] = []
        self.script: list[list[dict[str, object]]] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self, *script: list[dict[str, object]]) -> None:
        self.script = list(script)
        self._thread.start()

    def close(self) -> None:
        self._thread.join(timeout=5)
        self._listener.close()

    def _serve(self) -> None:
        link, _ = self._listener.accept()
        with link, link.makefile("rwb") as stream:
            stream.write(json.dumps(GREETING).encode() + b"\r\n")
            stream.flush()
            for answers in self.script:
                self.commands.append(json.loads(stream.readline())["execute"])
                for answer in answers:
                    stream.write(json.dumps(answer).encode() + b"\r\n")
                stream.flush()


@pytest.fixture
def qemu(tmp_path: Path) -> Iterator[ScriptedQemu]:
    qemu = ScriptedQemu(tmp_path / "qmp")
    yield qemu
    qemu.close()


def test_a_command_returns_its_answer_and_skips_the_events_before_it(qemu: ScriptedQemu, tmp_path: Path) -> None:
    qemu.start([{"return": {}}], [{"event": "RESET"}, {"return": {"status": "running"}}])

    assert qmp.execute(tmp_path / "qmp", qmp.Command(name="query-status")) == {"status": "running"}
    assert qemu.commands == ["qmp_capabilities", "query-status"]


def test_a_refused_command_says_why(qemu: ScriptedQemu, tmp_path: Path) -> None:
    qemu.start([{"return": {}}], [{"error": {"class": "GenericError", "desc": "no such thing"}}])

    with pytest.raises(LabError, match="no such thing"):
        qmp.execute(tmp_path / "qmp", qmp.Command(name="fly"))


def test_a_qemu_that_hangs_up_is_reported(qemu: ScriptedQemu, tmp_path: Path) -> None:
    qemu.start([{"return": {}}])

    with pytest.raises(LabError, match=r"closed the line|does not answer"):
        qmp.execute(tmp_path / "qmp", qmp.Command(name="query-status"))


def test_a_machine_without_qemu_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not answer"):
        qmp.execute(tmp_path / "nobody", qmp.Command(name="query-status"))
