"""The demo as a person uses it: interrupted, started twice, started without what it needs. Nothing stays behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "kadeploy_demo", "run", "--environment", "tiny"]


def namespaces() -> set[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, timeout=10, check=True)
    return {line.split()[0] for line in listed.stdout.splitlines() if line.startswith("kalab-demo")}


def children_of(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Lets children hear SIGINT. Tests that a shell started in the background ignore it, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("milestone", ["lab: ", "boot deployment environment"])
def test_ctrl_c_ends_everything_the_demo_started(milestone: str) -> None:
    with subprocess.Popen(
        COMMAND,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as demo:
        assert demo.stdout is not None
        seen = []
        for line in demo.stdout:
            seen.append(line)
            if milestone in line:
                break
        # What a terminal does on Ctrl-C: the whole foreground group gets it.
        os.killpg(demo.pid, signal.SIGINT)
        rest, _ = demo.communicate(timeout=120)
    assert demo.returncode == 130, "".join(seen) + rest
    assert "Traceback" not in rest
    assert namespaces() == set()
    assert children_of(demo.pid) == []


def test_a_missing_build_is_told_in_one_sentence() -> None:
    done = subprocess.run(
        [*COMMAND[:-1], "nonsense"], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "is not built" in done.stderr
    assert "Traceback" not in done.stderr
