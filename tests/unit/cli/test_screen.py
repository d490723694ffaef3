"""What a person sees of a deployment at 80 x 24: whole pictures, and rules that hold at every size."""

import io
import os
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.deployments.watching.live import LiveView
from kadeploy_cli.deployments.watching.progress import DeploymentProgress
from kadeploy_cli.deployments.watching.screen import Screen
from kadeploy_cli.deployments.watching.steps import STEPS
from kadeploy_cli.deployments.watching.time_left import time_left
from kadeploy_deployer.steps.plan import PLAN
from tests.fakes.watched_deployment import MEBIBYTE, MEDIANS, START, Events, in_the_middle, made

GOLDEN = Path(__file__).parents[2] / "golden" / "terminal"
SIZES = (2, 50, 300, 4000)


def picture(progress: DeploymentProgress, now: float, *, width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    view = LiveView(clock=lambda: now, console=console, medians=lambda: MEDIANS)
    with console.capture() as captured:
        console.print(view.render(progress, now))
    return [line.rstrip() for line in captured.get().splitlines()]


def compare(name: str, lines: list[str]) -> None:
    golden, text = GOLDEN / f"{name}.txt", "\n".join(lines) + "\n"
    if os.environ.get("KADEPLOY_GOLDEN") == "rewrite":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("count", SIZES)
def test_the_picture_in_the_middle_of_a_deployment(count: int) -> None:
    compare(f"live-{count}", picture(in_the_middle(count), 150.0))


@pytest.mark.parametrize("count", SIZES)
def test_the_totals_are_always_there(count: int) -> None:
    lines = picture(in_the_middle(count), 150.0)
    assert len(lines) < 24
    assert lines[0].startswith(f"deployment D-20231114-1   deploying   {count} nodes   2 min 30 s")
    assert lines[1].endswith("rebooting" if count == 2 else "error")
    assert "of 13" in lines[2]
    assert "iB/s" in lines[2]
    assert "about " in lines[2]


def test_the_steps_are_those_of_the_plan() -> None:
    assert tuple(step.name for step in PLAN) == STEPS


@given(count=st.integers(1, 120), width=st.integers(20, 200), height=st.integers(6, 60))
def test_no_picture_is_larger_than_its_terminal(count: int, width: int, height: int) -> None:
    screen = Screen(progress=in_the_middle(count), now=150.0, width=width, height=height, medians=MEDIANS)
    lines = screen.lines()
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)


def test_whoever_comes_later_sees_the_time_from_the_beginning_by_the_clock_of_the_deployer() -> None:
    deployment = made(1)
    node = deployment.nodes[0]
    node.step, node.attempt = "broadcast", 1
    node.start_time.FromSeconds(START + 1)
    node.step_durations.add(step=STEPS[0]).duration.FromSeconds(99)
    # The clock of this host is an hour ahead, and says so until the deployer has said its time.
    progress = DeploymentProgress(deployment, 7.0, epoch=START + 3600 + 130)
    progress.take_snapshot(deployer_service_pb2.Snapshot(deployment=deployment, sequence=5))
    heartbeat = deployer_service_pb2.Heartbeat()
    heartbeat.time.FromSeconds(START + 130)
    progress.hear(heartbeat.time, 7.0)
    lines = picture(progress, 17.0)
    assert "2 min 20 s" in lines[0]
    assert lines[-1].endswith("broadcast  40 s")


def test_a_deployment_that_has_ended_took_what_it_took() -> None:
    deployment = made(1)
    deployment.state = deployment_pb2.DEPLOYMENT_STATE_TERMINATED
    deployment.end_time.FromSeconds(START + 61)
    assert "1 min 01 s" in picture(DeploymentProgress(deployment, 0.0, epoch=START + 9000), 5.0)[0]


def test_how_far_a_copy_is_comes_with_the_sequence_of_the_last_event_and_is_shown() -> None:
    progress = DeploymentProgress(made(1), 0.0)
    events = Events(progress)
    events.start(1, "node-1", "broadcast")
    events.copy(2, "node-1", 300 * MEBIBYTE)
    assert progress.nodes["node-1"].done == 300 * MEBIBYTE
    events.copy(3, "node-1", 200 * MEBIBYTE)
    assert progress.nodes["node-1"].done == 300 * MEBIBYTE
    events.end(4, "node-1", "broadcast")
    events.start(4, "node-1", "keys")
    events.copy(5, "node-1", 1200 * MEBIBYTE)
    assert progress.nodes["node-1"].step == "keys"


def test_without_history_nobody_guesses_and_a_slow_step_is_said_to_be_slow() -> None:
    progress = DeploymentProgress(made(1), 0.0)
    assert time_left(progress, {}, 1.0) == "time left not known"
    events = Events(progress)
    events.start(1, "node-1", STEPS[-1])
    assert time_left(progress, MEDIANS, 31.0) == "about 50 s left"
    assert time_left(progress, MEDIANS, 500.0) == "longer than usual"


def test_a_picture_of_4000_nodes_costs_little() -> None:
    progress = in_the_middle(4000)
    begin = process_time()
    picture(progress, 150.0)
    assert process_time() - begin < 1.0
