"""The demo as a person uses it: a machine that dies, Ctrl-C, something that is missing. Nothing stays behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kadeploy_demo.run import LAB
from kadeploy_lab import Lab, network, plan
from kadeploy_lab.checkout import lab_root
from kadeploy_lab.plan import tap

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).resolve().parents[2]
BOUND = 400.0
COMMAND = [sys.executable, "-m", "kadeploy_demo", "run", "--environment", "tiny"]


def what_is_left(session: int) -> tuple[list[str], list[int]]:
    """Returns the namespace of the demo of this checkout, and the processes of the session that started it.

    Other checkouts may have a demo up at the same time: theirs has another namespace.
    """
    own = plan.namespace(LAB, lab_root() / LAB)
    return [name for name in network.namespaces() if name == own], children_of(session)


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


@contextmanager
def running_demo() -> Iterator["subprocess.Popen[str]"]:
    """The demo in a session of its own, as a terminal starts it."""
    with subprocess.Popen(
        COMMAND,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as demo:
        try:
            yield demo
        except BaseException:
            os.killpg(demo.pid, signal.SIGTERM)
            raise


def read_until(demo: "subprocess.Popen[str]", milestone: str) -> str:
    """Returns what the demo printed up to the line that says this."""
    assert demo.stdout is not None
    seen = ""
    for line in demo.stdout:
        seen += line
        if milestone in line:
            return seen
    raise AssertionError(f"the demo never said '{milestone}':\n{seen}")


def test_a_machine_that_is_lost_costs_nobody_else_the_deployment_and_is_reported() -> None:
    with running_demo() as demo:
        seen = read_until(demo, "node-2: broadcast ...")
        lab = Lab.load(lab_root() / LAB)
        subprocess.run(lab.exec_argv(["ip", "link", "set", tap(2), "down"]), check=True, timeout=10)
        rest, _ = demo.communicate(timeout=BOUND)
    assert demo.returncode == 1, seen + rest
    assert "watch it: http://127.0.0.1:" in seen
    assert not (CHECKOUT / "build" / "demo" / "services" / "web.pid").exists()
    assert "node-1: verified" in rest
    assert "node-2: NOT verified: " in rest
    assert "1 of 2 nodes verified" in rest
    report = json.loads((CHECKOUT / "build" / "demo" / "report.json").read_text())
    assert (report["state"], report["succeeded"]) == ("error", False)
    whole, lost = report["nodes"]
    assert (whole["state"], whole["root_device"], whole["verified"], whole["problem"]) == (
        "deployed",
        "/dev/vda3",
        True,
        "",
    )
    assert (lost["state"], lost["verified"], lost["boot_id"]) == ("error", False, "")
    assert lost["problem"] in rest
    assert what_is_left(demo.pid) == ([], [])


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("milestone", ["lab: ", "boot deployment environment"])
def test_ctrl_c_ends_everything_the_demo_started(milestone: str) -> None:
    with running_demo() as demo:
        seen = read_until(demo, milestone)
        # What a terminal does on Ctrl-C: the whole foreground group gets it.
        os.killpg(demo.pid, signal.SIGINT)
        rest, _ = demo.communicate(timeout=120)
    assert demo.returncode == 130, seen + rest
    assert "Traceback" not in rest
    assert what_is_left(demo.pid) == ([], [])
    assert not (CHECKOUT / "build" / "demo" / "services" / "web.pid").exists()


def test_a_missing_build_is_told_in_one_sentence() -> None:
    done = subprocess.run(
        [*COMMAND[:-1], "nonsense"], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "is not built" in done.stderr
    assert "Traceback" not in done.stderr
