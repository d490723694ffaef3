"""What every Broadcast does: the fake, and the chain with real programs on loopback addresses."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kadeploy_deployer.broadcast.chain import ChainBroadcast
from kadeploy_deployer.broadcast.instructions import ChainSettings
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import Broadcast, BroadcastSink, BroadcastTarget, OpenedFile, Received, ShellHost
from tests.fakes.fake_broadcast import FakeBroadcast
from tests.fakes.local_shell import KABROADCAST, LocalShell

pytestmark = pytest.mark.integration


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A broadcast, and how a node is made to fail."""

    broadcast: Broadcast
    break_node: Callable[[str], None]


def fake(_directory: Path) -> Subject:
    broadcast = FakeBroadcast()
    failure = Failure(reason=FailureReason.TRANSFER_FAILED, description="it does not answer")
    return Subject(broadcast=broadcast, break_node=lambda node: broadcast.failures.update({node: failure}))


def real(directory: Path) -> Subject:
    shell = LocalShell({"/usr/bin/kabroadcast": KABROADCAST})
    # Another port than those of the tests beside these, for they may run at the same time.
    settings = ChainSettings(node_port=10000 + os.getpid() % 10000, run_directory=str(directory))
    return Subject(broadcast=ChainBroadcast(shell, settings), break_node=shell.unreachable.add)


@pytest.fixture(params=[fake, real], ids=["fake", "real"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    made: Subject = request.param(tmp_path)
    return made


def digest_of(file: Path) -> str:
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


async def send(subject: Subject, file: Path, *nodes: str) -> tuple[dict[str, Received], dict[str, tuple[int, int]]]:
    targets = []
    for number, node in enumerate(nodes):
        host = ShellHost(name=node, address=f"127.0.0.{number + 41}", host_keys=("ssh-ed25519 A",))
        device = file.with_name(node)
        device.touch()
        sink = BroadcastSink(kind="dd", compression="none", target=str(device))
        targets.append(BroadcastTarget(host=host, sink=sink))
    progress: dict[str, tuple[int, int]] = {}
    with OpenedFile.open(file) as opened:
        received = await subject.broadcast.send(
            opened,
            digest=digest_of(file),
            user="alice",
            targets=targets,
            timeout=60,
            on_progress=lambda node, done, total: progress.update({node: (done, total)}),
        )
    return dict(received), progress


async def test_every_target_has_an_outcome_a_digest_and_progress_to_the_end(subject: Subject, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content" * 1000)
    received, progress = await send(subject, file, "n1", "n2")
    digest = digest_of(file)
    assert received == dict.fromkeys(("n1", "n2"), Received(outcome=None, digest=digest, received_bytes=7000))
    assert progress == dict.fromkeys(("n1", "n2"), (7000, 7000))


async def test_one_bad_node_is_its_own_outcome_alone(subject: Subject, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    subject.break_node("n2")
    received, _ = await send(subject, file, "n1", "n2", "n3")
    assert received["n2"].outcome is not None
    assert received["n2"].outcome.reason is FailureReason.TRANSFER_FAILED
    assert (received["n2"].digest, received["n2"].received_bytes) == ("", 0)
    assert (received["n1"].outcome, received["n3"].outcome) == (None, None)


async def test_no_targets_are_no_outcomes(subject: Subject, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert await send(subject, file) == ({}, {})
