"""kadeploy on a terminal: the table that redraws itself, and the question that Ctrl-C asks."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_cli.connection.settings import VARIABLE
from tests.fakes.site import Site

pytestmark = pytest.mark.integration

PATIENCE = 90.0


class Terminal:
    """A process on a terminal of its own, and what it has written so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process, self._descriptor, self.text = process, descriptor, ""

    def read_until(self, word: str) -> None:
        """Reads until the word has come; fails when it does not come in time, or the process ends before."""
        deadline = time.monotonic() + PATIENCE
        while word not in self.text:
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{word!r} did not come: {self.text[-300:]!r}"
            try:
                self.text += os.read(self._descriptor, 65536).decode()
            except OSError:
                # The other end is closed: the process has ended.
                assert word in self.text, self.text[-300:]
                return

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, as it does for a shell."""
        return bool(termios.tcgetattr(self._descriptor)[3] & termios.ECHO)

    def type(self, text: str) -> None:
        """Types a text."""
        os.write(self._descriptor, text.encode())


@contextmanager
def kadeploy(site: Site, *arguments: str, name: str = "kadeploy", columns: int = 120) -> Iterator[Terminal]:
    code = f"from kadeploy_cli.__main__ import {name}; {name}()"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        # setsid makes the terminal the process's own, so that Ctrl-C reaches it as a signal.
        ["setsid", "--ctty", "--wait", sys.executable, "-c", code, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, VARIABLE: str(site.client_file), "TERM": "xterm", "COLUMNS": str(columns), "LINES": "40"},
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(ours)


def test_the_table_is_drawn_and_the_report_follows(site: Site) -> None:
    with kadeploy(site, "-e", "debian", "-m", "node-[1-2]") as terminal:
        terminal.read_until("2 of 2 nodes deployed")
        assert terminal.process.wait(PATIENCE) == 0
    assert "2 nodes" in terminal.text
    assert "2 deployed" in terminal.text
    assert "\x1b[" in terminal.text


def test_a_list_fits_the_terminal_and_says_what_is_left_out(site: Site) -> None:
    site.deployer.deployments["D-1"] = deployment_pb2.Deployment(
        id="D-1", owner="alice", spec=deployment_pb2.DeploymentSpec(nodes="node-[1-9]"), description="one two three"
    )
    with kadeploy(site, "deployment", "list", name="ka", columns=50) as terminal:
        terminal.read_until("--wide shows all columns")
        assert terminal.process.wait(PATIENCE) == 0
    assert "left out for want of room: ENDED" in terminal.text
    # The heading is bold, which takes some letters more.
    assert all(len(line) <= 60 for line in terminal.text.splitlines()[:2])
    with kadeploy(site, "deployment", "list", "--wide", name="ka", columns=50) as terminal:
        terminal.read_until("one two three")
    assert "ENDED" in terminal.text


def test_ctrl_c_asks_and_cancels_when_told_so(site: Site) -> None:
    site.deployer.hold.clear()
    with kadeploy(site, "-e", "debian", "-m", "node-[1-2]") as terminal:
        terminal.read_until("2 deployed")
        terminal.type("\x03")
        terminal.read_until("go on watching?")
        terminal.type("c\n")
        terminal.read_until("0 of 2 nodes deployed")
        assert terminal.process.wait(PATIENCE) == 1
    assert site.deployer.requests[-1].id == "D-1"


def test_ctrl_c_detaches_when_told_so(site: Site) -> None:
    site.deployer.hold.clear()
    with kadeploy(site, "-e", "debian", "-m", "node-[1-2]") as terminal:
        terminal.read_until("2 deployed")
        terminal.type("\x03")
        terminal.read_until("go on watching?")
        terminal.type("d\n")
        terminal.read_until("the deployment goes on")
        assert terminal.process.wait(PATIENCE) == 130
    # It was created, and the history of the steps was asked for; nobody cancelled it.
    kinds = {type(request).__name__ for request in site.deployer.requests}
    assert kinds <= {"CreateDeploymentRequest", "GetStatisticsRequest"}


def test_a_console_gets_every_key_and_is_left_by_the_escape_with_the_terminal_as_it_was(site: Site) -> None:
    with kadeploy(site, "-m", "node-1", name="kaconsole") as terminal:
        terminal.read_until("login: ")
        terminal.type("root\r\x03")
        terminal.read_until("root\r\x03")
        terminal.type("\x1d")
        assert terminal.process.wait(PATIENCE) == 0
    assert site.deployer.control.typed == b"root\r\x03"


def test_a_console_that_ends_is_told(site: Site) -> None:
    with kadeploy(site, "-m", "node-1", name="kaconsole") as terminal:
        terminal.read_until("login: ")
        terminal.type("\x04")
        terminal.read_until("the console has ended")
        assert terminal.process.wait(PATIENCE) == 0


def test_a_console_that_is_told_to_end_puts_the_terminal_back(site: Site) -> None:
    with kadeploy(site, "-m", "node-1", name="kaconsole") as terminal:
        terminal.read_until("login: ")
        assert not terminal.echoes
        children = subprocess.run(
            ["pgrep", "-P", str(terminal.process.pid)], capture_output=True, text=True, check=False, timeout=PATIENCE
        ).stdout.split()
        os.kill(int(children[0]) if children else terminal.process.pid, signal.SIGTERM)
        assert terminal.process.wait(PATIENCE) == 128 + signal.SIGTERM
        assert terminal.echoes
