"""The port that the broadcasts of a deployer share: who is let through to which session, and when it is open."""

import asyncio
import itertools
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kadeploy_deployer.broadcast import source_port
from kadeploy_deployer.broadcast.chain import BrokenSession, ChainBroadcast
from kadeploy_deployer.broadcast.instructions import ChainSettings
from kadeploy_deployer.broadcast.source import Source
from kadeploy_deployer.broadcast.source_connection import DATA, FRAME
from kadeploy_deployer.broadcast.source_port import SourcePort
from kadeploy_deployer.ports import BroadcastSink, BroadcastTarget, OpenedFile, ReceiveFailed, ShellHost
from tests.fakes.scripted_remote_shell import ScriptedRemoteShell
from tests.integration.broadcast.conftest import manifest_of

pytestmark = pytest.mark.integration

LOOPBACK = "127.0.0.1"
PATIENCE = 10.0


@contextmanager
def opened(directory: Path, name: str, content: bytes) -> Iterator[OpenedFile]:
    path = directory / name
    path.write_bytes(content)
    with OpenedFile.open(path) as file:
        yield file


def fetch(port: int, token: str, *, pieces: int = 1) -> bytes:
    """Returns what a GET with this token brings: the manifest and the file. The request is sent in pieces."""
    request = f"GET / HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    size = -(-len(request) // pieces)
    with socket.create_connection((LOOPBACK, port), PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for begin in range(0, len(request), size):
            connection.sendall(request[begin : begin + size])
            time.sleep(0.01 if pieces > 1 else 0)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer.partition(b"\r\n\r\n")[2]


def is_open(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex((LOOPBACK, port)) == 0


async def test_two_sessions_share_a_port_and_each_token_leads_to_its_file(tmp_path: Path) -> None:
    port = SourcePort(address=LOOPBACK, port=0)
    with ExitStack() as stack:
        first, second = (stack.enter_context(opened(tmp_path, name, name.encode() * 999)) for name in ("one", "two"))
        manifests = [manifest_of(tmp_path / name) for name in ("one", "two")]
        async with Source(first, manifests[0], token="a" * 64, port=port) as one:
            async with Source(second, manifests[1], token="b" * 64, port=port) as two:
                assert one.port == two.port
                got = await asyncio.gather(
                    asyncio.to_thread(fetch, one.port, "a" * 64),
                    asyncio.to_thread(fetch, one.port, "b" * 64, pieces=20),
                )
            # The one that is left goes on; the other one's nodes are nobody's.
            assert (await asyncio.to_thread(fetch, one.port, "a" * 64)).endswith(b"one" * 999)
            with pytest.raises(ConnectionResetError):
                await asyncio.to_thread(fetch, one.port, "b" * 64)
        assert not is_open(one.port)
    assert [got[0].endswith(b"one" * 999), got[1].endswith(b"two" * 999)] == [True, True]


def frame_lengths(port: int, token: str, total: int) -> list[int]:
    """Returns the lengths of the data frames in which a node of a chain gets a stream of so many bytes."""
    greeting = json.dumps({"name": "node-1", "address": LOOPBACK, "port": 1})
    wanted = json.dumps({"go": {"position": 0, "chain": 0, "skipped": [], "moved": False, "wrong": -2}})
    lengths: list[int] = []
    with socket.create_connection((LOOPBACK, port), PATIENCE) as connection, connection.makefile("rb") as answer:
        connection.sendall(f"kabroadcast/2 {token} {greeting}\n{wanted}\n".encode())
        while sum(lengths) < total:
            kind, length, _ = FRAME.unpack(answer.read(FRAME.size))
            assert len(answer.read(length)) == length
            lengths += [length] if kind == DATA else []
    return lengths


async def test_frames_end_with_the_manifest_and_with_blocks(tmp_path: Path) -> None:
    size = (600 << 10) + 5
    with opened(tmp_path, "file", os.urandom(size)) as file:
        manifest = manifest_of(tmp_path / "file")
        source = Source(file, manifest, token="a" * 64, port=SourcePort(address=LOOPBACK, port=0))
        async with source:
            lengths = await asyncio.to_thread(frame_lengths, source.port, "a" * 64, len(manifest.content) + size)
    ends = set(itertools.accumulate(lengths))
    start = len(manifest.content)
    assert ends >= {start, *range(start, start + size, manifest.block_size)}


async def test_who_says_nothing_is_closed_and_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_port, "PENDING_LIMIT", 5)
    monkeypatch.setattr(source_port, "GREETING_SECONDS", 0.5)
    with opened(tmp_path, "file", b"x" * 5000) as file:
        source = Source(file, manifest_of(tmp_path / "file"), token="a" * 64, port=SourcePort(address=LOOPBACK, port=0))
        async with source:
            with ExitStack() as stack:
                silent = [
                    stack.enter_context(socket.create_connection((LOOPBACK, source.port), PATIENCE)) for _ in range(20)
                ]
                silent[-1].sendall(b"kabro")
                assert (await asyncio.to_thread(fetch, source.port, "a" * 64)).endswith(b"x" * 5000)
                # All of them: the older ones had to make room, the last ones were too slow.
                assert [await asyncio.to_thread(end_of, one) for one in silent] == [b""] * 20


def end_of(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1)
    except ConnectionResetError:
        return b""


async def test_a_port_that_somebody_has_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken, opened(tmp_path, "file", b"x") as file:
        port = taken.getsockname()[1]
        settings = ChainSettings(source_address=LOOPBACK, source_port=port)
        broadcast = ChainBroadcast(ScriptedRemoteShell(), settings)
        digest = manifest_of(tmp_path / "file").digest
        async with broadcast.session(file, digest=digest, user="alice") as session:
            assert isinstance(session, BrokenSession)
            host = ShellHost(name="n1", address=LOOPBACK, host_keys=("k",))
            target = BroadcastTarget(host=host, sink=BroadcastSink(kind="tar", compression="", target="/mnt/dest"))
            with pytest.raises(
                ReceiveFailed, match=rf"cannot serve .*file on {LOOPBACK} port {port}: Address.* in use; "
            ):
                await session.receive(target, timeout=1, on_progress=lambda _done, _total: None)
