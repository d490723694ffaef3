"""A deployer is killed without warning before or after each of its journal's writes; the next one goes on."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from kadeploy_deployer.domain.deployment import Deployment
from kadeploy_deployer.domain.states import DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.ports.store_values import DeploymentFilter
from kadeploy_deployer.steps.plan import PLAN
from tests.fakes.mortal_deployer import real_plan_world

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

ROOT = Path(__file__).parents[4]
STEPS = [step.name for step in PLAN]
POINTS = [
    "after create",
    *(f"{when} {write} {step}" for step in STEPS for write in ("enter", "output") for when in ("before", "after")),
    "before end in deployed",
    "after end in deployed",
    "before end",
    "after end",
]
FAILING = [f"{when} {write}" for write in ("end in error", "release") for when in ("before", "after")]
"""One node fails the third step and is left bootable, while the other goes on."""
KILLED = -9
SUCCESSORS = cycle(["itself", "another", "another", "itself"])
"""Who goes on: the same program started again, or a process that is there already. Every step gets both."""
CANCELLED = ["after request_cancel", *FAILING, "before end", "after end"]

Run = Callable[[Path, str], int]


@pytest.fixture(scope="module")
def run_deployer() -> Iterator[Run]:
    """Yields a function that runs a deployer on a directory until a point and returns its exit status."""
    command = [sys.executable, "-m", "tests.fakes.mortal_deployer"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        sent, answered = process.stdin, process.stdout

        def run(directory: Path, point: str) -> int:
            sent.write(f"{directory} {point}\n")
            sent.flush()
            return int(answered.readline())

        yield run
        sent.close()


@pytest.fixture
def directory(url: URL, tmp_path: Path) -> Path:
    """Returns the directory that names a database."""
    (tmp_path / "url").write_text(url.render_as_string(hide_password=False))
    return tmp_path


@pytest.mark.parametrize(("point", "successor"), [*zip(POINTS, SUCCESSORS, strict=False)])
async def test_a_kill_changes_nothing_in_the_end(
    point: str, successor: str, directory: Path, run_deployer: Run
) -> None:
    assert await asyncio.to_thread(run_deployer, directory, point) == KILLED

    if successor == "itself":
        assert await asyncio.to_thread(run_deployer, directory, "none") == 0
    deployment = await ended(directory)

    assert deployment.state is DeploymentState.TERMINATED
    assert deployment.description == "2 of 2 nodes deployed"
    for node in deployment.nodes:
        assert node.state is PartitionState.DEPLOYED
        assert [record.step for record in node.steps] == STEPS
    runs = Counter((directory / "runs").read_text().splitlines())
    assert set(runs) == {f"{step} {node.node}" for step in STEPS for node in deployment.nodes}
    # Only the step in which each node was when its deployer died may have been done twice.
    for node in deployment.nodes:
        assert len([step for step in STEPS if runs[f"{step} {node.node}"] > 1]) <= 1
    assert max(runs.values()) <= 2
    assert deployment.fence == (1 if point == "after end" else 2)


@pytest.mark.parametrize(("point", "successor"), [*zip(FAILING, SUCCESSORS, strict=False)])
async def test_a_kill_while_one_node_fails_changes_nothing_either(
    point: str, successor: str, directory: Path, run_deployer: Run
) -> None:
    assert await asyncio.to_thread(run_deployer, directory, f"{point} failing") == KILLED

    if successor == "itself":
        assert await asyncio.to_thread(run_deployer, directory, "none failing") == 0
    deployment = await ended(directory)

    assert deployment.description == "1 of 2 nodes deployed; failed: node2 (format failed)"
    good, bad = deployment.nodes
    assert [record.step for record in good.steps] == STEPS
    assert [(record.step, record.succeeded) for record in bad.steps] == [
        *((step, True) for step in STEPS[:2]),
        (STEPS[2], False),
    ]
    assert set((directory / "left-bootable").read_text().split()) == {"node2"}


@pytest.mark.parametrize("point", CANCELLED)
async def test_a_kill_in_the_middle_of_a_cancellation_changes_nothing_either(
    point: str, directory: Path, run_deployer: Run
) -> None:
    assert await asyncio.to_thread(run_deployer, directory, f"{point} cancelled") == KILLED

    deployment = await ended(directory)

    assert deployment.state is DeploymentState.ERROR
    assert deployment.description.startswith("cancelled by alice; 0 of 2 nodes deployed")
    assert {node.reason for node in deployment.nodes} == {FailureReason.CANCELLED}
    assert set((directory / "left-bootable").read_text().split()) == {"node1", "node2"}


async def ended(directory: Path) -> Deployment:
    """Lets a deployer of this process bring the deployment to its end, and returns it; checks what it leaves behind."""
    world = real_plan_world(directory, later=True)
    (found,) = await world.store.list_deployments(DeploymentFilter(), after=None, limit=9)
    world.supervisor.open()
    deployment = await world.finished(found.id)
    await world.supervisor.close()
    events = await world.store.events(found.id, after=0, limit=1000)
    partitions = await world.store.list_partitions([], after=None, limit=9)
    held = await world.store.holders([node.node for node in deployment.nodes])
    world.database.close()
    assert [event.sequence for event in events] == list(range(1, deployment.last_sequence + 1))
    assert [(one.deployment_id, one.state) for one in partitions] == [
        (found.id, node.state) for node in deployment.nodes
    ]
    assert held == {}
    return deployment
