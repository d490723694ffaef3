"""What a dead deployer left running of a script is ended by the shell of a node; here by the shell of this machine."""

import asyncio
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from kadeploy_deployer.domain.snapshot import ArchiveSnapshot
from kadeploy_deployer.domain.vocabulary import Compression
from kadeploy_deployer.steps.postinstall import POSTINSTALL
from tests.fakes import snapshots
from tests.fakes.step_workshop import Workshop, outcome

pytestmark = pytest.mark.integration

SECONDS = 60


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def end_group(number: int) -> None:
    """Ends a process with its children, if anything of them is left."""
    with suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)


def started(processes: ExitStack, run: str) -> "subprocess.Popen[bytes]":
    """Starts a script with a child of its own, both of the given run, and returns it once both are there."""
    script = "sleep 300 & echo; wait"
    process = subprocess.Popen(
        ["sh", "-c", script], env={**os.environ, "KADEPLOY_RUN": run}, stdout=subprocess.PIPE, start_new_session=True
    )
    processes.enter_context(process)
    processes.callback(end_group, process.pid)
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    return process


def test_the_script_and_its_children_are_ended_and_those_of_another_run_are_not(
    tmp_path: Path, processes: ExitStack
) -> None:
    command, run = asyncio.run(asked_of_a_node(tmp_path))
    earlier, other = started(processes, run), started(processes, f"{run}0")
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert earlier.wait(SECONDS) == -signal.SIGKILL
    # Its pipe closes when the last of its children is gone.
    assert earlier.communicate(timeout=SECONDS)[0] == b""
    assert other.poll() is None


async def asked_of_a_node(tmp_path: Path) -> tuple[list[str], str]:
    """Returns the command by which a step ends what is left of an earlier run, and how it calls its own."""
    workshop = Workshop(tmp_path)
    file = workshop.images.add("file:///a.tgz", b"content", compression=Compression.GZIP)
    archive = ArchiveSnapshot(file=file, script="traitement.ash")
    name = f"d-{uuid.uuid4()}"
    environment = snapshots.an_environment(workshop.image, postinstalls=(archive,))
    assert await outcome(POSTINSTALL, workshop.context(deployment_id=name, environment=environment)) is None
    (command,) = [list(words) for words in workshop.shell.commands("node-1") if "end-earlier-run" in words]
    run = next(ran.environment["KADEPLOY_RUN"] for ran in workshop.shell.ran if "KADEPLOY_RUN" in ran.environment)
    return command, run
