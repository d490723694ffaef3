"""The node's program alone, with a source of the deployer or of the test before it."""

import asyncio
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kadeploy_deployer.broadcast.instructions import ChainSettings, Place, what_to_receive, whom_to_ask
from kadeploy_deployer.broadcast.manifest import Manifest
from kadeploy_deployer.broadcast.source import Source
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
        async with Source(opened, manifest, token=TOKEN, address="127.0.0.1", port=0) as source:
            yield Place(name="the deployer", address="127.0.0.1", port=source.port)


def document(tmp_path: Path, manifest: Manifest, sink: BroadcastSink) -> bytes:
    settings = ChainSettings(
        node_port=free_port(),
        run_directory=str(tmp_path),
        ring_bytes=0,
        connect_bound=2,
        stall_bound=5,
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
    ask = whom_to_ask([], source, predecessors=0)
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
    node.tell(whom_to_ask([], source, predecessors=0))
    await asyncio.to_thread(node.hear, "result")
    place = (ADDRESS, int(str(ready["port"])))
    last = 7
    for asked, expected in (
        ((*place, TOKEN[:-1], last), b""),
        ((*place, "", last), b""),
        ((source.address, source.port, "wrong", 0), b""),
        ((source.address, source.port, "", 0), b""),
    ):
        assert await asyncio.to_thread(_ask, *asked) == expected
    assert await asyncio.to_thread(node.leave) == 0


def _ask(address: str, port: int, token: str, first: int) -> bytes:
    with socket.create_connection((address, port), 5) as connection:
        connection.sendall(f"kabroadcast/1 {token} {first} someone\n".encode())
        return connection.recv(1)


async def test_what_is_gone_is_refused_and_what_is_kept_is_served(
    start: Start, tmp_path: Path, file: Path, source: Place
) -> None:
    node = start()
    node.tell(document(tmp_path, manifest_of(file), device(tmp_path)))
    ready = await asyncio.to_thread(node.hear, "ready")
    node.tell(whom_to_ask([], source, predecessors=0))
    await asyncio.to_thread(node.hear, "result")
    port = int(str(ready["port"]))
    assert ready["ring_blocks"] == 4
    assert await asyncio.to_thread(_ask, ADDRESS, port, TOKEN, 3) == b"G"
    assert await asyncio.to_thread(_ask, ADDRESS, port, TOKEN, 4) == b"B"


async def test_other_bytes_than_announced_are_a_digest_mismatch(
    start: Start, tmp_path: Path, file: Path, source: Place
) -> None:
    manifest = manifest_of(file)
    wrong = Manifest(size=manifest.size, block_size=manifest.block_size, blocks=manifest.blocks, sha256="0" * 64)
    node = start()
    node.tell(document(tmp_path, wrong, device(tmp_path)))
    await asyncio.to_thread(node.hear, "ready")
    node.tell(whom_to_ask([], source, predecessors=0))
    result = await asyncio.to_thread(node.hear, "result")
    assert (result["ok"], result["reason"]) == (False, "digest_mismatch")
    assert result["digest"] == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert await asyncio.to_thread(node.leave) == 1


async def test_it_gives_up_when_nobody_has_the_blocks(start: Start, tmp_path: Path, file: Path) -> None:
    node = start()
    node.tell(document(tmp_path, manifest_of(file), device(tmp_path)))
    await asyncio.to_thread(node.hear, "ready")
    nobody = Place(name="the deployer", address="127.0.0.9", port=free_port())
    node.tell(whom_to_ask([], nobody, predecessors=0))
    result = await asyncio.to_thread(node.hear, "result")
    assert result["reason"] == "transfer_failed"
    assert result["description"] == "nobody gives block 0 of 8: the deployer: Connection refused"


async def test_a_source_that_gives_other_blocks_is_not_believed(start: Start, tmp_path: Path, file: Path) -> None:
    node = start()
    node.tell(document(tmp_path, manifest_of(file), device(tmp_path)))
    await asyncio.to_thread(node.hear, "ready")

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(struct.pack(">cBI", b"B", 0, BLOCK) + bytes(BLOCK))
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(lie, "127.0.0.1", 0)
    liar = Place(name="the deployer", address="127.0.0.1", port=server.sockets[0].getsockname()[1])
    node.tell(whom_to_ask([], liar, predecessors=0))
    result = await asyncio.to_thread(node.hear, "result")
    assert "block 0 is not the one that was registered" in str(result["description"])
    assert (tmp_path / "device").read_bytes() == b""
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


@pytest.mark.parametrize("line", [b"", b"no json\n", b"{}\n", b'{"version": 2}\n'])
def test_an_instruction_that_is_none_is_one_sentence(start: Start, line: bytes) -> None:
    node = start()
    node.tell(line)
    assert node.leave() == 2
    assert node.process.stderr is not None
    words = node.process.stderr.read().decode()
    assert words.startswith("kabroadcast: ")
    assert "Traceback" not in words
