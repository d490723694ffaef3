"""The node's program alone, with a source of the deployer or of the test before it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kabroadcast import wire
from kabroadcast.talk import FrameTalk
from kadeploy_deployer.broadcast.instructions import ChainSettings, Place, what_to_receive, which_part
from kadeploy_deployer.broadcast.manifest import Manifest
from kadeploy_deployer.broadcast.source import Source
from kadeploy_deployer.broadcast.source_port import SourcePort
from kadeploy_deployer.ports import BroadcastSink, BroadcastTarget, OpenedFile, ShellHost
from tests.fakes.local_shell import KABROADCAST
from tests.integration.broadcast.conftest import BLOCK, Fifo, free_port, manifest_of

# These tests watch what another process does with small local files; nothing else runs in their loop.
# ruff: noqa: ASYNC240
pytestmark = pytest.mark.integration

TOKEN = "a-token"
ADDRESS = "127.0.0.11"


class Node:
    """The program as a process, and the lines that it prints."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(KABROADCAST, stdin=pipe, stdout=pipe, stderr=pipe)

    def tell(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def hear(self, event: str, condition: Callable[[dict[str, object]], object] = bool) -> dict[str, object]:
        """Returns the next line of a kind that meets a condition; the program's own bound ends the wait."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message: dict[str, object] = json.loads(line)
            if message["event"] == event and condition(message):
                return message
        raise AssertionError(f"the program ended without {event}")

    def leave(self) -> int:
        """Ends the session and returns the exit status."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        return self.process.wait(20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()
        self.process.wait(20)


Start = Callable[[], Node]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts nodes, and ends those that still run."""
    nodes: list[Node] = []

    def start_one() -> Node:
        nodes.append(Node())
        return nodes[-1]

    yield start_one
    for node in nodes:
        node.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(8 * BLOCK))
    return file


@pytest.fixture
async def source(file: Path) -> AsyncIterator[Place]:
    manifest = await asyncio.to_thread(manifest_of, file)
    with OpenedFile.open(file) as opened:
        async with Source(opened, manifest, token=TOKEN, port=SourcePort(address="127.0.0.1", port=0)) as source:
            yield Place(name="the deployer", address="127.0.0.1", port=source.port)


def part(source: Place) -> bytes:
    """Returns the line of a node that has nobody before it but the deployer."""
    return which_part([], source, chain=0, quantum=4096, predecessors=0)


def document(tmp_path: Path, manifest: Manifest, sink: BroadcastSink, *, memory_share: float = 0.5) -> bytes:
    settings = ChainSettings(
        node_port=free_port(),
        run_directory=str(tmp_path),
        memory_share=memory_share,
        hold_bound=1,
        give_up_bound=1,
    )
    target = BroadcastTarget(host=ShellHost(name="n1", address=ADDRESS, host_keys=("k",)), sink=sink)
    return what_to_receive(target, manifest, token=TOKEN, session_bound=20, settings=settings)


def device(tmp_path: Path, name: str = "device") -> BroadcastSink:
    (tmp_path / name).touch()
    return BroadcastSink(kind="dd", compression="none", target=str(tmp_path / name))


async def test_a_retry_ends_the_session_before_it_and_succeeds(
    start: Start, tmp_path: Path, file: Path, source: Place, fifo: Fifo
) -> None:
    manifest = manifest_of(file)
    ask = part(source)
    first, second = start(), start()
    first.tell(document(tmp_path, manifest, fifo.sink))
    await asyncio.to_thread(first.hear, "ready")
    first.tell(ask)
    await asyncio.to_thread(first.hear, "progress", lambda line: line["received_bytes"])
    first.process.send_signal(signal.SIGSTOP)
    second.tell(document(tmp_path, manifest, device(tmp_path)))
    await asyncio.to_thread(second.hear, "ready")
    assert first.process.wait(10) == -signal.SIGKILL
    second.tell(ask)
    assert (await asyncio.to_thread(second.hear, "result"))["ok"] is True
    assert await asyncio.to_thread(second.leave) == 0
    assert (tmp_path / "device").read_bytes() == file.read_bytes()
    assert list(tmp_path.glob("*.pid*")) == []


async def test_nothing_is_left_when_the_deployer_goes_away(start: Start, tmp_path: Path) -> None:
    (tmp_path / "half").write_bytes(b"x" * BLOCK)
    (tmp_path / "out").mkdir()
    node = start()
    sink = BroadcastSink(kind="tar", compression="gzip", target=str(tmp_path / "out"))
    node.tell(document(tmp_path, manifest_of(tmp_path / "half"), sink))
    await asyncio.to_thread(node.hear, "ready")
    pid = node.process.pid
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    assert len(children) == 2
    assert await asyncio.to_thread(node.leave) == 1
    for child in children:
        for _ in range(100):
            if not Path(f"/proc/{child}").exists():
                break
            await asyncio.sleep(0.05)
        assert not Path(f"/proc/{child}").exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESS, free_port()), 2)


async def test_only_who_has_the_token_gets_blocks(start: Start, tmp_path: Path, file: Path, source: Place) -> None:
    node = start()
    node.tell(document(tmp_path, manifest_of(file), device(tmp_path)))
    ready = await asyncio.to_thread(node.hear, "ready")
    node.tell(part(source))
    await asyncio.to_thread(node.hear, "result")
    place = (ADDRESS, int(str(ready["port"])))
    for asked in (
        (*place, TOKEN[:-1]),
        (*place, ""),
        (source.address, source.port, "wrong"),
        (source.address, source.port, ""),
    ):
        assert await asyncio.to_thread(_ask, *asked, 0) == b""
    assert await asyncio.to_thread(_ask, *place, TOKEN, 0) == wire.ANCESTORS
    assert await asyncio.to_thread(node.leave) == 0


def _ask(address: str, port: int, token: str, position: int) -> bytes:
    """Returns the kind of the first frame that answers a request for the stream; nothing when there is none."""
    wanted = {"position": position, "chain": 0, "skipped": [], "moved": False, "wrong": -2}
    with socket.create_connection((address, port), 5) as connection:
        try:
            connection.sendall(FrameTalk(token, wire.Place("someone", "127.0.0.1", 9)).greeting)
            connection.sendall(wire.message({"go": wanted}))
            content = connection.recv(wire.FRAME.size, socket.MSG_WAITALL)
            return connection.recv(1) if content else b""
        except (ConnectionResetError, BrokenPipeError):
            return b""


async def test_what_is_gone_is_refused_and_what_is_kept_is_served(
    start: Start, tmp_path: Path, file: Path, source: Place
) -> None:
    node = start()
    node.tell(document(tmp_path, manifest_of(file), device(tmp_path), memory_share=0))
    ready = await asyncio.to_thread(node.hear, "ready")
    assert ready["whole"] is False
    node.tell(part(source))
    await asyncio.to_thread(node.hear, "result")
    port = int(str(ready["port"]))
    last = 4096 + file.stat().st_size - 2 * BLOCK
    assert await asyncio.to_thread(_ask, ADDRESS, port, TOKEN, 4096) == wire.GONE
    assert await asyncio.to_thread(_ask, ADDRESS, port, TOKEN, last) == wire.ANCESTORS


async def test_it_gives_up_when_nobody_has_the_blocks(start: Start, tmp_path: Path, file: Path) -> None:
    node = start()
    node.tell(document(tmp_path, manifest_of(file), device(tmp_path)))
    await asyncio.to_thread(node.hear, "ready")
    nobody = Place(name="the deployer", address="127.0.0.9", port=free_port())
    node.tell(part(nobody))
    result = await asyncio.to_thread(node.hear, "result")
    assert result["reason"] == "transfer_failed"
    assert result["description"] == "nobody gives the manifest of 8: the deployer: Connection refused"


async def test_a_source_that_gives_other_blocks_is_not_believed(start: Start, tmp_path: Path, file: Path) -> None:
    node = start()
    node.tell(document(tmp_path, manifest_of(file), device(tmp_path)))
    await asyncio.to_thread(node.hear, "ready")

    lies: list[asyncio.Task[None] | None] = []

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lies.append(asyncio.current_task())
        await reader.readline()
        writer.write(wire.frame(wire.HEARTBEAT, position=1))
        await reader.readline()
        writer.write(wire.FRAME.pack(wire.DATA, 4096, 4096) + bytes(4096))
        with suppress(ConnectionError):
            await writer.drain()
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(lie, "127.0.0.1", 0)
    liar = Place(name="the deployer", address="127.0.0.1", port=server.sockets[0].getsockname()[1])
    node.tell(part(liar))
    result = await asyncio.to_thread(node.hear, "result")
    assert result["description"] == "the deployer gave the manifest wrongly 3 times"
    assert (tmp_path / "device").read_bytes() == b""
    await asyncio.gather(*(task for task in lies if task is not None))
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("sink", "words"),
    [
        (BroadcastSink(kind="tar", compression="none", target="/absent"), "there is no directory /absent"),
        (BroadcastSink(kind="dd", compression="none", target="/absent"), "/absent cannot be written: No such file"),
    ],
)
def test_a_target_that_is_not_there_is_said_before_anything_is_sent(
    start: Start, tmp_path: Path, file: Path, sink: BroadcastSink, words: str
) -> None:
    node = start()
    node.tell(document(tmp_path, manifest_of(file), sink))
    result = node.hear("result")
    assert words in str(result["description"])
    assert node.leave() == 1


@pytest.mark.parametrize("line", [b"", b"no json\n", b"{}\n", b'{"version": 2}\n', b"[]\n", b"7\n"])
def test_an_instruction_that_is_none_is_one_sentence(start: Start, line: bytes) -> None:
    node = start()
    node.tell(line)
    assert node.leave() == 2
    assert node.process.stderr is not None
    words = node.process.stderr.read().decode()
    assert words.startswith("kabroadcast: ")
    assert "Traceback" not in words


def test_another_version_is_refused_with_both_versions(start: Start) -> None:
    node = start()
    node.tell(b'{"version": 1, "token": "t"}\n')
    assert node.leave() == 2
    assert node.process.stderr is not None
    words = node.process.stderr.read().decode()
    assert "the deployer speaks version 1 of the broadcast and this deployment environment version 2" in words
