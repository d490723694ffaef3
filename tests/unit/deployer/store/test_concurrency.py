"""Three deployer processes, sixty clients, the same nodes: what the database saw keeps every promise."""

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.engine import URL

from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.ports.store_values import DeploymentFilter
from kadeploy_deployer.store.database import Database
from tests.fakes import history
from tests.fakes.crowded_deployer import CLIENTS, REQUESTS
from tests.fakes.deployment_world import World
from tests.fakes.scripted_step import straight_plan

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

ROOT = Path(__file__).parents[4]
NAMES = ("red", "green", "blue")
LEASE_SECONDS = 2.0
REFUSALS = {"NODES_BUSY", "NO_NODE_LEFT", "ANOTHER_DEPLOYMENT_WAITING"}


def test_the_history_of_a_crowd_keeps_the_invariants(url: URL, database: Database, tmp_path: Path) -> None:
    history.keep(database.engine)
    shown = url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.fakes.crowded_deployer", shown]
    crowd = [
        subprocess.Popen([*command, name, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for name in NAMES
    ]
    try:
        answers = [line.split() for one in crowd for line in one.communicate(timeout=100)[0].splitlines()]
    finally:
        for one in crowd:
            one.kill()
            one.wait()

    assert [one.returncode for one in crowd] == [0, 0, 0]
    assert len(answers) == len(NAMES) * CLIENTS * REQUESTS
    assert {reason for kind, reason in answers if kind == "refused"} <= REFUSALS
    ended = history.check(history.read(database.engine))
    assert set(ended) <= {DeploymentState.TERMINATED, DeploymentState.ERROR}
    assert sum(ended.values()) == Counter(kind for kind, _ in answers)["ended"]
    assert ended[DeploymentState.TERMINATED] > 0
    assert history.check_work(tmp_path) > 0


def at_work(directory: Path) -> list[str]:
    """Returns the names of the deployers that have acted on nodes."""
    return sorted(path.name.removeprefix("work-") for path in directory.glob("work-*"))


def until(true: Callable[[], bool]) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_the_history_of_a_crowd_of_which_one_is_killed_and_one_stands_still_keeps_them_too(
    url: URL, database: Database, tmp_path: Path
) -> None:
    history.keep(database.engine)
    shown = url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.fakes.crowded_deployer", shown]
    last_words = {name: tmp_path / f"said-{name}" for name in NAMES}
    crowd = {}
    for name, said in last_words.items():
        with said.open("wb") as stream:
            crowd[name] = subprocess.Popen(  # noqa: ASYNC220 - it takes milliseconds
                [*command, name, str(tmp_path), str(LEASE_SECONDS)], cwd=ROOT, stdout=stream, stderr=stream
            )
    try:
        # Two that are at work: not everybody has got a node yet.
        await asyncio.to_thread(until, lambda: len(at_work(tmp_path)) > 1)
        killed, stalled = at_work(tmp_path)[:2]
        crowd[killed].kill()
        crowd[stalled].send_signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE_SECONDS * 2)
        crowd[stalled].send_signal(signal.SIGCONT)
        for one in crowd.values():
            await asyncio.to_thread(one.wait, 100)
    finally:
        for one in crowd.values():
            one.kill()
            one.wait()
    statuses = {name: one.returncode for name, one in crowd.items()}
    told = "\n".join(f"{name}: {said.read_text()[-3000:]}" for name, said in last_words.items())
    assert statuses == {**dict.fromkeys(NAMES, 0), killed: -signal.SIGKILL}, f"stalled: {stalled}\n{told}"

    # Whoever is left ends what the others left.
    last = World(database=database, plan=straight_plan(), lease_seconds=LEASE_SECONDS)
    last.supervisor.open()
    for deployment in await last.store.list_deployments(DeploymentFilter(), after=None, limit=999):
        await last.finished(deployment.id, within=60)
    await last.supervisor.close()

    ended = history.check(history.read(database.engine))
    assert set(ended) <= {DeploymentState.TERMINATED, DeploymentState.ERROR}
    assert ended[DeploymentState.TERMINATED] > 0
    assert history.check_turns(tmp_path) > 0


def test_the_check_sees_who_acts_when_his_turn_is_over(tmp_path: Path) -> None:
    (tmp_path / "work-red").write_text("node1 one 1 1\nnode1 one 3 3\n")
    (tmp_path / "work-blue").write_text("node1 two 2 2\n")
    with pytest.raises(AssertionError, match="acted on node1"):
        history.check_turns(tmp_path)


@pytest.mark.parametrize(
    "rows",
    [
        [("lock", "node1", "one", "", ""), ("lock", "node1", "two", "", "")],
        [("state", "", "one", "", "waiting"), ("state", "", "two", "", "waiting")],
        [("state", "", "one", "", "error"), ("state", "", "one", "error", "deploying")],
        [("lock", "node1", "one", "", "")],
    ],
    ids=["given twice", "two wait", "changed after its end", "never freed"],
)
def test_the_check_sees_a_broken_promise(rows: list[tuple[str, str, str, str, str]]) -> None:
    names = ("kind", "node", "deployment", "was", "becomes")
    with pytest.raises(AssertionError):
        history.check([SimpleNamespace(**dict(zip(names, row, strict=True)), fence=1) for row in rows])


BEGIN = ("to_deploy", "", 0)
BOOT, WRITE = ("to_deploy", "boot", 1), ("deploying", "write", 1)


@pytest.mark.parametrize(
    ("moves", "held"),
    [
        ([(BEGIN, WRITE)], True),
        ([(BEGIN, BOOT), (BEGIN, BOOT)], True),
        ([(BEGIN, BOOT), (BOOT, WRITE), (WRITE, ("to_deploy", "boot", 1))], True),
        ([(BEGIN, BOOT), (BOOT, ("to_deploy", "boot", 3))], True),
        ([(BEGIN, BOOT), (BOOT, ("error", "boot", 1)), (("error", "boot", 1), WRITE)], True),
        ([(BEGIN, BOOT), (BOOT, ("deployed", "boot", 1))], True),
        ([(BEGIN, BOOT)], False),
    ],
    ids=[
        "left a step out",
        "entered twice",
        "went back",
        "left an attempt out",
        "moved after its end",
        "no edge",
        "free",
    ],
)
def test_the_check_sees_a_node_that_does_not_walk_its_plan(moves: list[Any], held: bool) -> None:
    def row(kind: str, **values: Any) -> Any:
        return SimpleNamespace(**{"kind": kind, "node": "node1", "deployment": "one", "fence": 1, **values})

    rows = [row("state", was="", becomes="deploying"), *([row("lock")] if held else [])]
    for (was, step_was, attempt_was), (becomes, step, attempt) in moves:
        before = {"was": was, "step_was": step_was, "attempt_was": attempt_was}
        rows.append(row("node", **before, becomes=becomes, step=step, attempt=attempt))
    with pytest.raises(AssertionError):
        history.check([*rows, *([row("free")] if held else [])])
