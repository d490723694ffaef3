"""What every Broadcast does: the fake, and the chain with real programs on loopback addresses."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kadeploy_deployer.broadcast.chain import ChainBroadcast
from kadeploy_deployer.broadcast.instructions import HTTP, ChainSettings
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import (
    Broadcast,
    BroadcastSession,
    BroadcastSink,
    BroadcastTarget,
    OpenedFile,
    Received,
    ReceiveFailed,
    ShellHost,
)
from tests.fakes.fake_broadcast import FakeBroadcast
from tests.fakes.local_shell import KABROADCAST, LocalShell

pytestmark = pytest.mark.integration


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A broadcast, and how a node is made to fail, or to take for ever."""

    broadcast: Broadcast
    break_node: Callable[[str], None]
    delay_node: Callable[[str], None]
    directory: Path
    progress: dict[str, tuple[int, int]] = field(default_factory=dict)
    devices: dict[str, Path] = field(default_factory=dict)
    opened: list[int] = field(default_factory=list)

    def device(self, node: str) -> Path:
        """Returns what a node writes to."""
        if node not in self.devices:
            self.devices[node] = self.directory / node
            self.devices[node].touch()
        return self.devices[node]

    async def receive(self, session: BroadcastSession, number: int) -> Received:
        """Has a node receive."""
        node = f"n{number}"
        host = ShellHost(name=node, address=f"127.0.0.{number + 40}", host_keys=("ssh-ed25519 A",))
        sink = BroadcastSink(kind="dd", compression="none", target=str(self.device(node)))
        return await session.receive(
            BroadcastTarget(host=host, sink=sink),
            timeout=60,
            on_progress=lambda done, total: self.progress.update({node: (done, total)}),
        )


def fake(directory: Path) -> Subject:
    broadcast = FakeBroadcast()
    failure = Failure(reason=FailureReason.TRANSFER_FAILED, description="it does not answer")
    return Subject(
        broadcast=broadcast,
        break_node=lambda node: broadcast.failures.update({node: failure}),
        delay_node=broadcast.endless.add,
        directory=directory,
    )


def real(directory: Path, method: str = "chain") -> Subject:
    shell = LocalShell({"/usr/bin/kabroadcast": KABROADCAST})
    # Another port than those of the tests beside these, for they may run at the same time.
    settings = ChainSettings(node_port=10000 + os.getpid() % 10000, run_directory=str(directory), method=method)

    def delay_node(node: str) -> None:
        # Nobody reads from this device.
        os.mkfifo(directory / f"{node}.fifo")
        made.opened.append(os.open(directory / f"{node}.fifo", os.O_RDWR))
        made.devices[node] = directory / f"{node}.fifo"

    made = Subject(
        broadcast=ChainBroadcast(shell, settings),
        break_node=shell.unreachable.add,
        delay_node=delay_node,
        directory=directory,
    )
    return made


def real_http(directory: Path) -> Subject:
    return real(directory, HTTP)


@pytest.fixture(params=[fake, real, real_http])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    made: Subject = request.param(tmp_path)
    yield made
    for descriptor in made.opened:
        os.close(descriptor)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"content" * 100_000)
    return file


def digest_of(file: Path) -> str:
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


@asynccontextmanager
async def opened_session(subject: Subject, opened: OpenedFile, digest: str) -> AsyncIterator[BroadcastSession]:
    with opened:
        async with subject.broadcast.session(opened, digest=digest, user="alice") as session:
            yield session


def session_of(subject: Subject, file: Path) -> AbstractAsyncContextManager[BroadcastSession]:
    return opened_session(subject, OpenedFile.open(file), digest_of(file))


async def test_every_node_receives_all_and_says_so(subject: Subject, file: Path) -> None:
    async with session_of(subject, file) as session:
        received = await asyncio.gather(*(subject.receive(session, number) for number in (1, 2)))
    assert [(each.digest, each.received_bytes) for each in received] == [(digest_of(file), 700_000)] * 2
    assert all(each.seconds > 0 for each in received)
    assert subject.progress == dict.fromkeys(("n1", "n2"), (700_000, 700_000))


async def test_nothing_is_looked_up_by_its_name_and_the_file_stays_open(subject: Subject, file: Path) -> None:
    digest = digest_of(file)
    with OpenedFile.open(file) as opened:
        file.unlink()  # noqa: ASYNC240 - a small local file
        async with subject.broadcast.session(opened, digest=digest, user="alice") as session:
            assert (await subject.receive(session, 1)).digest == digest
        assert opened.size() == 700_000


async def test_a_node_may_join_when_others_are_done(subject: Subject, file: Path) -> None:
    async with session_of(subject, file) as session:
        first = await subject.receive(session, 1)
        second = await subject.receive(session, 2)
    assert first.received_bytes == second.received_bytes == 700_000


async def test_one_bad_node_is_its_own_failure_alone(subject: Subject, file: Path) -> None:
    subject.break_node("n2")
    async with session_of(subject, file) as session:
        results = await asyncio.gather(
            *(subject.receive(session, number) for number in (1, 2, 3)), return_exceptions=True
        )
    failed = results[1]
    assert isinstance(failed, ReceiveFailed)
    assert failed.failure.reason is FailureReason.TRANSFER_FAILED
    assert failed.received_bytes == 0
    assert isinstance(results[0], Received)
    assert isinstance(results[2], Received)


async def test_cancelling_one_takes_that_one_out_alone(subject: Subject, file: Path) -> None:
    subject.delay_node("n2")
    async with session_of(subject, file) as session:
        nodes = [asyncio.create_task(subject.receive(session, number)) for number in (1, 2, 3)]
        await asyncio.wait([nodes[0], nodes[2]], timeout=30)
        nodes[1].cancel()
        results = await asyncio.gather(*nodes, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert [type(each) for each in (results[0], results[2])] == [Received, Received]


async def test_a_file_that_cannot_be_read_is_the_failure_of_each_node(subject: Subject, tmp_path: Path) -> None:
    opened = OpenedFile(os.open(tmp_path, os.O_RDONLY), name="a directory")
    async with opened_session(subject, opened, "sha256:" + "0" * 64) as session:
        with pytest.raises(ReceiveFailed, match="a directory cannot be read: Is a directory"):
            await subject.receive(session, 1)


async def test_a_session_without_nodes_is_no_error(subject: Subject, file: Path) -> None:
    async with session_of(subject, file):
        pass
