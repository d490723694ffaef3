"""DeploymentProgress, views and report, fed by hand."""

import io
from typing import Any

import pytest
from rich.console import Console

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_event_pb2, deployment_pb2
from kadeploy_cli.deployments.watching import report
from kadeploy_cli.deployments.watching.folded_lines import FoldedLineView
from kadeploy_cli.deployments.watching.lines import LineView
from kadeploy_cli.deployments.watching.live import LiveView
from kadeploy_cli.deployments.watching.progress import DeploymentProgress
from kadeploy_cli.deployments.watching.steps import STEPS
from tests.fakes import watched_deployment

MIB = 1024 * 1024


def deployment(*nodes: str, wanted: str = "") -> deployment_pb2.Deployment:
    made = deployment_pb2.Deployment(id="D-1", state=deployment_pb2.DEPLOYMENT_STATE_DEPLOYING)
    made.spec.nodes = wanted or ",".join(nodes)
    made.create_time.FromSeconds(1000)
    for node in nodes:
        made.nodes.add(node=node, state=deployment_pb2.PARTITION_STATE_DEPLOYING)
    return made


def event(sequence: int, node: str = "", **kind: Any) -> deployment_event_pb2.DeploymentEvent:
    made = deployment_event_pb2.DeploymentEvent(sequence=sequence, node=node, **kind)
    made.time.FromSeconds(1000 + sequence)
    return made


def started(sequence: int, node: str, step: str, attempt: int = 1) -> deployment_event_pb2.DeploymentEvent:
    return event(sequence, node, step_started=deployment_event_pb2.StepStarted(step=step, attempt=attempt))


def progressed(sequence: int, node: str, done: int) -> deployment_event_pb2.DeploymentEvent:
    told = deployment_event_pb2.StepProgressed(step="broadcast", done=done, total=100 * MIB)
    return event(sequence, node, step_progressed=told)


def ended(sequence: int, node: str, step: str, why: str = "") -> deployment_event_pb2.DeploymentEvent:
    told = deployment_event_pb2.StepEnded(step=step, succeeded=not why, description=why)
    return event(sequence, node, step_ended=told)


def test_a_story_is_folded_from_events_and_an_event_counts_once() -> None:
    progress = DeploymentProgress(deployment("a", "b"), now=0.0)
    assert progress.take_event(started(1, "a", "broadcast"), 5.0)
    assert progress.take_event(progressed(2, "a", 50 * MIB), 6.0)
    assert not progress.take_event(progressed(2, "a", 10), 7.0)
    view = progress.nodes["a"]
    assert (view.step, view.done, view.since, progress.sequence) == ("broadcast", 50 * MIB, 1.0, 2)
    final = deployment_event_pb2.DeploymentStateChanged(state=deployment_pb2.DEPLOYMENT_STATE_ERROR)
    progress.take_event(event(3, deployment_state_changed=final), 8.0)
    assert progress.finished


def test_a_snapshot_replaces_what_was_known() -> None:
    progress = DeploymentProgress(deployment("a"), now=0.0)
    progress.take_event(started(9, "a", "format"), 1.0)
    progress.take_snapshot(deployer_service_pb2.Snapshot(deployment=deployment("a", "b"), sequence=4))
    assert (progress.sequence, list(progress.nodes), progress.nodes["a"].step) == (4, ["a", "b"], "")


def test_lines_tell_every_event_and_only_quarters_of_a_copy(capsys: pytest.CaptureFixture[str]) -> None:
    progress, view = DeploymentProgress(deployment("a"), now=0.0), LineView()
    remark = deployment_event_pb2.Remark(text="b is left out\x1b[2J")
    told = [started(1, "a", "broadcast", 2), *(progressed(2 + part, "a", part * 5 * MIB) for part in range(21))]
    for one in [*told, ended(30, "a", "broadcast"), ended(31, "a", "mount", "no device"), event(32, remark=remark)]:
        progress.take_event(one, 0.0)
        view.event(progress, one)
    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err.splitlines() == [
        "    1.0 s  a: broadcast ... (attempt 2)",
        "    7.0 s  a: broadcast 25 % of 100 MiB",
        "   12.0 s  a: broadcast 50 % of 100 MiB",
        "   17.0 s  a: broadcast 75 % of 100 MiB",
        "   22.0 s  a: broadcast 100 % of 100 MiB",
        "   30.0 s  a: broadcast done in 29.0 s",
        "   31.0 s  a: mount failed: no device",
        "   32.0 s  deployment: b is left out?[2J",
    ]


def drawn(view: LiveView, progress: DeploymentProgress, now: float, height: int = 40) -> str:
    console = Console(file=io.StringIO(), width=120, height=height, force_terminal=False)
    view._console = console
    with console.capture() as captured:
        console.print(view.render(progress, now))
    return captured.get()


def test_the_live_view_shows_state_step_progress_and_seconds() -> None:
    progress, view = DeploymentProgress(deployment("a", "b[x]"), now=0.0), LiveView(clock=lambda: 0.0)
    progress.take_event(started(1, "a", "broadcast"), 5.0)
    progress.take_event(progressed(2, "a", 50 * MIB), 6.0)
    failed = deployment_event_pb2.PartitionStateChanged(
        state=deployment_pb2.PARTITION_STATE_ERROR, description="no disk [bold]"
    )
    progress.take_event(event(3, "b[x]", partition_state_changed=failed), 7.0)
    text = drawn(view, progress, 17.0)
    line = next(row for row in text.splitlines() if row.strip().startswith("a "))
    assert "deploying" in line
    assert "broadcast" in line
    assert "50 MiB of 100 MiB" in line
    assert line.endswith("12 s")
    assert "no disk [bold]" in text
    assert "1 deploying, 1 error" in text


def test_many_nodes_show_the_failed_ones_and_the_others_in_numbers() -> None:
    names = [f"n{number}" for number in range(300)]
    progress, view = DeploymentProgress(deployment(*names), now=0.0), LiveView(clock=lambda: 0.0)
    failed = deployment_event_pb2.PartitionStateChanged(state=deployment_pb2.PARTITION_STATE_ERROR, description="dead")
    progress.take_event(event(1, "n299", partition_state_changed=failed), 0.0)
    text = drawn(view, progress, 1.0, height=20)
    assert len(text.splitlines()) < 20
    assert "n299: dead" in text
    assert "299 deploying, 1 error" in text
    assert "n[0-298]" in text


def settled(*states: "deployment_pb2.PartitionState.ValueType", wanted: str = "") -> deployment_pb2.Deployment:
    made = deployment(*(f"n{number}" for number in range(len(states))), wanted=wanted)
    for node, state in zip(made.nodes, states, strict=True):
        node.state = state
    good = all(state == deployment_pb2.PARTITION_STATE_DEPLOYED for state in states)
    made.state = deployment_pb2.DEPLOYMENT_STATE_TERMINATED if good else deployment_pb2.DEPLOYMENT_STATE_ERROR
    return made


GOOD, BAD = deployment_pb2.PARTITION_STATE_DEPLOYED, deployment_pb2.PARTITION_STATE_ERROR


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (settled(GOOD, GOOD), 0),
        (settled(GOOD, BAD), 6),
        (settled(BAD, BAD), 1),
        (settled(GOOD, wanted="n[0-1]"), 6),
        (settled(), 1),
    ],
)
def test_the_exit_status_says_whether_all_some_or_none_are_deployed(made: deployment_pb2.Deployment, code: int) -> None:
    assert report.exit_code(made) == code


def test_all_nodes_deployed_in_a_deployment_in_error_is_no_success() -> None:
    made = settled(GOOD)
    made.state = deployment_pb2.DEPLOYMENT_STATE_ERROR
    assert report.exit_code(made) == 1


def test_times_of_many_nodes_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    made = settled(*[GOOD] * 7)
    for number, node in enumerate(made.nodes):
        node.step_durations.add(step="format").duration.FromSeconds(number + 1)
    report.show(made)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Seconds", "per", "step", "Fastest", "Median", "Slowest"] in rows
    assert ["format", "1.0", "4.0", "7.0"] in rows


def test_the_lines_of_300_nodes_are_at_most_60_when_all_goes_well(capsys: pytest.CaptureFixture[str]) -> None:
    made = watched_deployment.made(300)
    now = 0.0
    progress, view = DeploymentProgress(made, 0.0), FoldedLineView(clock=lambda: now)
    view.snapshot(progress)
    for one in watched_deployment.good_run(progress):
        now = progress.seconds(one)
        view.event(progress, one)
        view.tick(progress)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 40
    assert any(line.endswith("s  node-[1-300]: format done, median 1.6 s, slowest node-17 2.4 s") for line in lines), (
        lines
    )
    assert any("node-[1-300]: broadcast 50 % of 300 x 1.2 GiB, " in line for line in lines)
    assert lines[-2].endswith("s  node-[1-300]: deployed")
    assert lines[-1].endswith("s  deployment: terminated")
    for node in made.nodes:
        node.state = GOOD
        for step in STEPS:
            node.step_durations.add(step=step).duration.FromSeconds(2)
    report.show(made)
    assert len(lines) + len(capsys.readouterr().out.splitlines()) <= 60


def test_each_failure_of_many_nodes_is_a_line_and_a_remark_of_many_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    progress, view = DeploymentProgress(watched_deployment.made(30), 0.0), FoldedLineView(clock=lambda: now)
    events = watched_deployment.Events(progress)
    for number in (3, 4):
        view.event(progress, events.state(5, f"node-{number}", BAD, 6, f"node-{number} is not there"))
    for number in range(10, 20):
        remark = deployment_event_pb2.Remark(text="hard reboot follows")
        view.event(progress, events.send(6, f"node-{number}", remark=remark))
    now = 10.0
    view.tick(progress)
    assert capsys.readouterr().err.splitlines() == [
        "    5.0 s  node-3: error: node-3 is not there",
        "    5.0 s  node-4: error: node-4 is not there",
        "   10.0 s  node-[10-19]: hard reboot follows",
    ]


def test_what_waits_for_slow_nodes_is_printed_in_the_meantime(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    progress, view = DeploymentProgress(watched_deployment.made(10), 0.0), FoldedLineView(clock=lambda: now)
    events = watched_deployment.Events(progress)
    for number in range(1, 11):
        view.event(progress, events.start(1, f"node-{number}", STEPS[0]))
    for number in range(1, 10):
        view.event(progress, events.end(2, f"node-{number}", STEPS[0]))
        view.event(progress, events.start(2, f"node-{number}", STEPS[1]))
    now = 31.0
    view.tick(progress)
    text = "node-[1-9]: boot deployment environment done, median 1.0 s, slowest node-1 1.0 s"
    assert capsys.readouterr().err == f"   31.0 s  {text}\n"


def test_the_report_of_many_nodes_folds_them_by_state_and_failure(capsys: pytest.CaptureFixture[str]) -> None:
    made = settled(*[GOOD] * 28, BAD, BAD, wanted="n[0-31]")
    for node in made.nodes[28:]:
        node.description = f"not there on first check: {node.node} waited 91.3 s"
    report.show(made)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["n[0-27]", "28", "deployed"] in rows
    assert ["n[30-31]", "2", "left", "out"] in rows
    assert rows[3][:4] == ["n[28-29]", "2", "error", "not"]
