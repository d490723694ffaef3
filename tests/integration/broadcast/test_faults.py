"""One node or more goes wrong while the file flows: the others have it, soon, and it is said who and why.

The first node takes no more than the test lets it, so things happen in the middle of the file however slow this machine
is.
"""

import asyncio
import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from kadeploy_deployer.broadcast import source_connection
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import BroadcastSession, BroadcastSink, Received
from tests.integration.broadcast.conftest import BLOCK, Chain, Fifo, contents
from tests.integration.broadcast.odd_node import SLOW_BYTES, program

# These tests watch what other processes do with small local files; nothing else runs in their loop.
# ruff: noqa: ASYNC240
pytestmark = pytest.mark.integration

BLOCKS = 24
SIZE = BLOCKS * BLOCK
MANIFEST = 4096
PACED_BYTES = 2_500_000


class Tap:
    """A device that takes so many bytes a second."""

    def __init__(self, path: Path, pace: float) -> None:
        os.mkfifo(path)
        self.sink = BroadcastSink(kind="dd", compression="none", target=str(path))
        self.content = bytearray()
        self._pace = pace
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def close(self) -> None:
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join()
            os.close(self._reader)

    def _drain(self) -> None:
        while not self._ended.wait(0.02):
            with contextlib.suppress(BlockingIOError):
                self.content += os.read(self._reader, int(self._pace * 0.02))


@dataclass(slots=True, kw_only=True)
class Flow:
    """A file that flows through the chain. `results`: what became of each node so far."""

    chain: Chain
    file: Path
    session: BroadcastSession
    gate: Path
    tasks: dict[int, asyncio.Task[Received | Failure]] = field(default_factory=dict)

    def join(self, *numbers: int) -> None:
        """Has nodes receive."""
        for number in numbers:
            self.tasks[number] = asyncio.create_task(self.chain.receive(self.session, number))

    def open_to(self, blocks: int) -> None:
        """Lets so many blocks pass."""
        self.gate.with_suffix(".new").write_text(str(MANIFEST + blocks * BLOCK))
        self.gate.with_suffix(".new").replace(self.gate)

    async def reach(self, blocks: int) -> None:
        """Lets so many blocks pass, and waits until all nodes have them."""
        self.open_to(blocks)
        devices = [Path(self.chain.target(number).sink.target) for number in self.tasks]
        async with asyncio.timeout(60):
            while any(device.stat().st_size < blocks * BLOCK for device in devices):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def end(self, *numbers: int) -> dict[int, Received | Failure]:
        """Waits for nodes; for all by default."""
        wanted = numbers or tuple(self.tasks)
        self.open_to(BLOCKS)
        async with asyncio.timeout(60):
            return dict(zip(wanted, await asyncio.gather(*(self.tasks[each] for each in wanted)), strict=True))

    def proved(self, *numbers: int) -> None:
        """Asserts that nodes wrote the file."""
        for number in numbers:
            assert Path(self.chain.target(number).sink.target).read_bytes() == self.file.read_bytes()

    def signal(self, number: int, sent: signal.Signals) -> None:
        """Sends a signal to a node's program."""
        self.chain.shell.processes[f"n{number}"].send_signal(sent)

    def left(self, number: int) -> list[tuple[object, object]]:
        """Returns whom a node left, and why."""
        return [(line["name"], line["why"]) for line in self.chain.said(f"n{number}", "left")]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory that no disk makes slow."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.fixture
def flowing(chain: Chain, memory: Path) -> "Callable[..., contextlib.AbstractAsyncContextManager[Flow]]":
    """Opens a session whose file flows slowly; nodes 1 to `nodes` take part from the beginning."""

    @asynccontextmanager
    async def flow(nodes: int) -> AsyncIterator[Flow]:
        file = memory / "file"
        file.write_bytes(os.urandom(SIZE))
        gate = memory / "gate"
        gate.write_text("0")
        chain.shell.programs_of["n1"] = program("gated", str(gate))
        for number in range(1, nodes + 3):
            (memory / f"device{number}").touch()
            sink = BroadcastSink(kind="dd", compression="none", target=str(memory / f"device{number}"))
            chain.sinks[f"n{number}"] = sink
        async with chain.session(file) as session:
            flow = Flow(chain=chain, file=file, session=session, gate=gate)
            flow.join(*range(1, nodes + 1))
            try:
                yield flow
            finally:
                for task in flow.tasks.values():
                    task.cancel()
                await asyncio.gather(*flow.tasks.values(), return_exceptions=True)

    return flow


Flowing = Callable[..., contextlib.AbstractAsyncContextManager[Flow]]


@pytest.mark.parametrize(
    ("dead", "nodes"), [((2,), 4), ((4,), 4), ((2, 3), 5), ((2, 4, 6), 7)], ids=["one", "last", "neighbours", "three"]
)
@pytest.mark.parametrize(
    "sent", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.thorough)], ids=["killed", "silent"]
)
async def test_dead_nodes_fail_alone_and_cost_the_others_a_moment(
    flowing: Flowing, chain: Chain, dead: Collection[int], nodes: int, sent: signal.Signals
) -> None:
    chain.settings = replace(chain.settings, evidence_bound=4, silence_bound=8)
    async with flowing(nodes) as flow:
        await flow.reach(10)
        for number in dead:
            flow.signal(number, sent)
        living = [number for number in range(1, nodes + 1) if number not in dead]
        results = await flow.end(*living)
        assert {type(result) for result in results.values()} == {Received}
        # Nobody waited for the verdict of the deployer.
        if sent == signal.SIGSTOP:
            assert not any(flow.tasks[number].done() for number in dead)
        failed = await flow.end(*dead)
    flow.proved(*living)
    for result in failed.values():
        assert isinstance(result, Failure)
        assert result.reason is FailureReason.TRANSFER_FAILED
        assert ("status 137" if sent == signal.SIGKILL else "heard nothing") in result.description


async def test_the_first_node_dies_and_the_next_goes_on_with_the_deployer(flowing: Flowing, chain: Chain) -> None:
    async with flowing(3) as flow:
        await flow.reach(8)
        flow.signal(1, signal.SIGKILL)
        results = await flow.end()
    assert [type(results[number]) for number in (1, 2, 3)] == [Failure, Received, Received]
    flow.proved(2, 3)
    assert set(chain.result("n2")["upstreams"]) == {"n1", "the deployer"}  # type: ignore[call-overload]
    assert list(chain.result("n3")["upstreams"]) == ["n2"]  # type: ignore[call-overload]


async def test_the_verdict_on_a_silent_node_names_both_who_heard_nothing(flowing: Flowing, chain: Chain) -> None:
    chain.settings = replace(chain.settings, evidence_bound=1.5, silence_bound=60)
    async with flowing(4) as flow:
        await flow.reach(5)
        flow.signal(3, signal.SIGSTOP)
        stopped = time.monotonic()
        failed = (await flow.end(3))[3]
        assert time.monotonic() - stopped < 5
        await flow.end(1, 2, 4)
    assert isinstance(failed, Failure)
    assert failed.description.startswith("the deployer heard nothing from n3 for ")
    assert " s, and n4 says: silent for " in failed.description


async def test_a_node_that_was_away_for_a_while_is_served_at_the_tail(flowing: Flowing, chain: Chain) -> None:
    chain.settings = replace(chain.settings, evidence_bound=10)
    async with flowing(4) as flow:
        await flow.reach(5)
        flow.signal(2, signal.SIGSTOP)
        await asyncio.sleep(1.5)
        flow.signal(2, signal.SIGCONT)
        results = await flow.end()
    assert {type(result) for result in results.values()} == {Received}
    flow.proved(2, 3, 4)
    assert flow.left(3)[0][0] == "n2"


async def test_a_late_node_is_appended_and_fed_by_the_tail(flowing: Flowing, chain: Chain) -> None:
    async with flowing(3) as flow:
        await flow.reach(10)
        flow.join(4)
        results = await flow.end()
    assert {type(result) for result in results.values()} == {Received}
    flow.proved(2, 3, 4)
    assert list(chain.result("n4")["upstreams"]) == ["n3"]  # type: ignore[call-overload]
    assert list(chain.result("n1")["upstreams"]) == ["the deployer"]  # type: ignore[call-overload]


async def test_nodes_that_come_together_are_ordered_by_address(flowing: Flowing, chain: Chain) -> None:
    async with flowing(2) as flow:
        await flow.reach(5)
        flow.join(4, 3)
        await flow.end()
    assert [list(chain.result(f"n{number}")["upstreams"]) for number in (3, 4)] == [["n2"], ["n3"]]  # type: ignore[call-overload]


async def test_a_node_that_joins_when_all_others_are_gone_gets_it_from_the_deployer(
    chain: Chain, image: Path, tree: Path
) -> None:
    async with chain.session(image) as session:
        assert isinstance(await chain.receive(session, 1), Received)
        chain.shell.processes["n1"].kill()
        await asyncio.sleep(0.2)
        assert isinstance(await chain.receive(session, 2), Received)
    assert contents(chain.directory("n2")) == contents(tree)
    assert list(chain.result("n2")["upstreams"]) == ["the deployer"]  # type: ignore[call-overload]


@pytest.mark.thorough
async def test_a_slow_node_is_passed_and_ends_at_the_tail(
    chain: Chain, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sendfile(out: int, file: int, offset: int, count: int) -> int:
        sent = os.sendfile(out, file, offset, min(count, 64 << 10))
        time.sleep(sent / PACED_BYTES)
        return sent

    monkeypatch.setattr(source_connection, "os", SimpleNamespace(sendfile=sendfile))
    file = memory / "file"
    file.write_bytes(os.urandom(SIZE))
    for number in range(1, 5):
        (memory / f"device{number}").touch()
        sink = BroadcastSink(kind="dd", compression="none", target=str(memory / f"device{number}"))
        chain.sinks[f"n{number}"] = sink
    chain.shell.programs_of["n2"] = program("slow")
    results = await chain.send(file, 4)
    seconds = {node: result.seconds for node, result in results.items() if isinstance(result, Received)}
    assert len(seconds) == 4
    assert seconds["n2"] > SIZE / SLOW_BYTES * 0.9
    assert max(seconds[node] for node in ("n1", "n3", "n4")) < seconds["n2"] - 2


async def test_the_others_do_not_wait_for_a_slow_disk(chain: Chain, image: Path, fifo: Fifo) -> None:
    chain.sinks["n2"] = fifo.sink
    async with chain.session(image) as session:
        slow = asyncio.create_task(chain.receive(session, 2))
        others = await asyncio.gather(*(chain.receive(session, number) for number in (1, 3, 4)))
        assert not slow.done()
        assert {type(result) for result in others} == {Received}
        drained = await asyncio.gather(slow, asyncio.to_thread(fifo.drain))
    assert drained[1] == image.read_bytes()
    assert isinstance(drained[0], Received)


@pytest.mark.thorough
async def test_nodes_with_little_memory_keep_the_pace_of_their_disks(chain: Chain, image: Path, tmp_path: Path) -> None:
    chain.settings = replace(chain.settings, memory_share=0)
    tap = Tap(tmp_path / "tap", 20e6)
    chain.sinks["n2"] = tap.sink
    try:
        results = await chain.send(image, 4)
        assert {type(result) for result in results.values()} == {Received}
        for _ in range(200):
            if len(tap.content) == image.stat().st_size:
                break
            await asyncio.sleep(0.05)
        assert bytes(tap.content) == image.read_bytes()
    finally:
        tap.close()


async def test_a_node_that_passes_on_other_bytes_is_found_out_and_named(chain: Chain, image: Path, tree: Path) -> None:
    chain.shell.programs_of["n2"] = program("spoils")
    results = await chain.send(image, 4)
    assert {type(result) for result in results.values()} == {Received}
    for node in results:
        assert contents(chain.directory(node)) == contents(tree)
    assert chain.said("n3", "left")[0] == {
        "event": "left",
        "name": "n2",
        "why": "block 2 is not the one that was registered",
    }
    # Who is behind the honest one blames nobody.
    assert chain.said("n4", "left") == []


async def test_a_node_that_says_it_has_what_it_does_not_give_is_left(chain: Chain, image: Path, tree: Path) -> None:
    chain.shell.programs_of["n2"] = program("boasts")
    results = await chain.send(image, 4)
    assert {type(result) for result in results.values()} == {Received}
    assert contents(chain.directory("n4")) == contents(tree)
    assert chain.said("n3", "left")[0]["name"] == "n2"
    assert chain.said("n3", "left")[0]["why"] in {
        "it says that it has more, and gives nothing",
        "it is slower than n1",
        "it is slower than the deployer",
    }


async def test_a_node_that_lies_about_its_digest_fails_alone(chain: Chain, image: Path) -> None:
    chain.shell.programs_of["n2"] = program("lies")
    results = await chain.send(image, 3)
    failed = results["n2"]
    assert isinstance(failed, Failure)
    assert failed.reason is FailureReason.DIGEST_MISMATCH
    assert failed.description.startswith("n2 says that it received other blocks than those of sha256:")
    assert isinstance(results["n1"], Received)
    assert isinstance(results["n3"], Received)


def flip(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(SIZE - 100)
        opened.write(b"something else")


def shorten(file: Path) -> None:
    os.truncate(file, SIZE // 2 + 12345)


@pytest.mark.parametrize("change", [flip, shorten])
async def test_a_file_that_changes_meanwhile_is_named(flowing: Flowing, change: Callable[[Path], None]) -> None:
    async with flowing(2) as flow:
        await flow.reach(2)
        change(flow.file)
        results = await flow.end()
    for result in results.values():
        assert isinstance(result, Failure)
    assert "file was changed while it was being sent" in getattr(results[1], "description", "")


async def test_of_two_sessions_on_one_node_the_later_one_wins(flowing: Flowing, chain: Chain, tmp_path: Path) -> None:
    async with flowing(2) as flow:
        await flow.reach(5)
        (tmp_path / "another").touch()
        chain.sinks["n1"] = replace(chain.sinks["n1"], target=str(tmp_path / "another"))
        del chain.shell.programs_of["n1"]
        async with chain.session(flow.file) as later:
            again: Awaitable[Received | Failure] = chain.receive(later, 1)
            assert isinstance(await again, Received)
        first = (await flow.end(1))[1]
        second = (await flow.end(2))[2]
    assert isinstance(first, Failure)
    assert "ended by SIGTERM" in first.description
    assert isinstance(second, Received)
