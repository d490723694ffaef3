"""What a chain of nodes does with a file, in good times and bad."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import BroadcastSink, OpenedFile, Received
from tests.fakes.local_shell import KABROADCAST
from tests.integration.broadcast.conftest import BLOCK, Chain, Fifo, contents

# These tests watch what other processes do with small local files; nothing else runs in their loop.
# ruff: noqa: ASYNC221, ASYNC240
MEBIBYTE = 1 << 20

pytestmark = pytest.mark.integration


def digest_of(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def failure(received: Received) -> Failure:
    assert received.outcome is not None
    return received.outcome


def result(chain: Chain, node: str) -> dict[str, object]:
    """Returns the last result that a node reported."""
    lines = [json.loads(line) for line in chain.shell.lines[node]]
    found: dict[str, object] = next(line for line in reversed(lines) if line["event"] == "result")
    return found


async def test_five_nodes_unpack_the_same_system_and_prove_it(chain: Chain, image: Path, tree: Path) -> None:
    progress: dict[str, tuple[int, int]] = {}
    received = await chain.send(image, 5, on_progress=lambda node, done, total: progress.update({node: (done, total)}))
    size = image.stat().st_size
    expected = Received(outcome=None, digest=digest_of(image), received_bytes=size)
    assert received == dict.fromkeys(["n1", "n2", "n3", "n4", "n5"], expected)
    assert progress == dict.fromkeys(received, (size, size))
    wanted = contents(tree)
    for node in received:
        assert contents(chain.directory(node)) == wanted
    blocks = -(-size // BLOCK)
    assert [result(chain, f"n{number}")["upstreams"] for number in range(1, 6)] == [
        {name: blocks} for name in ("the deployer", "n1", "n2", "n3", "n4")
    ]
    assert chain.shell.killed == set()


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1])
async def test_a_file_of_any_size_reaches_a_device(chain: Chain, tmp_path: Path, size: int) -> None:
    file, device = tmp_path / "file", tmp_path / "device"
    file.write_bytes(os.urandom(size))
    device.touch()
    chain.sinks["n1"] = BroadcastSink(kind="dd", compression="none", target=str(device))
    received = await chain.send(file, 1)
    assert received["n1"] == Received(outcome=None, digest=digest_of(file), received_bytes=size)
    assert device.read_bytes() == file.read_bytes()


@pytest.mark.parametrize(("compression", "program"), [("none", ""), ("gzip", "gzip"), ("bzip2", "bzip2"), ("xz", "xz")])
async def test_each_compression_is_unpacked(chain: Chain, tmp_path: Path, compression: str, program: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "word").write_text("hello")
    archive = tmp_path / "archive"
    flag = [f"--{program}"] if program else []
    subprocess.run(["tar", "-c", *flag, "-f", str(archive), "-C", str(tmp_path / "in"), "."], check=True, timeout=60)
    received = await chain.send(archive, 1, compression=compression)
    assert received["n1"].outcome is None
    assert (chain.directory("n1") / "word").read_text() == "hello"


async def test_nobody_to_send_to_is_no_error(chain: Chain, image: Path) -> None:
    assert await chain.send(image, 0) == {}


async def test_a_node_killed_in_the_middle_fails_alone(chain: Chain, image: Path, tree: Path, fifo: Fifo) -> None:
    # It takes nothing, so that it is in the middle of the transfer when it dies.
    chain.sinks["n3"] = fifo.sink
    chain.settings = replace(chain.settings, hold_bound=30)

    def kill_it(node: str, _done: int, _total: int) -> None:
        if node == "n3" and json.loads(chain.shell.lines[node][-1])["received_bytes"]:
            chain.shell.processes[node].kill()

    received = await chain.send(image, 5, on_progress=kill_it)
    assert failure(received["n3"]).reason is FailureReason.TRANSFER_FAILED
    assert "status 137" in failure(received["n3"]).description
    for node in ("n1", "n2", "n4", "n5"):
        assert received[node].outcome is None
        assert contents(chain.directory(node)) == contents(tree)
    assert "left n3" in str(result(chain, "n4")["notes"])


async def test_a_node_that_stands_still_fails_alone(chain: Chain, image: Path, tree: Path, fifo: Fifo) -> None:
    chain.sinks["n2"] = fifo.sink
    chain.settings = replace(chain.settings, silence_bound=3)

    def stop_it(node: str, _done: int, _total: int) -> None:
        if node == "n2" and json.loads(chain.shell.lines[node][-1])["received_bytes"]:
            chain.shell.processes[node].send_signal(signal.SIGSTOP)

    received = await chain.send(image, 4, on_progress=stop_it)
    assert "no sign of life" in failure(received["n2"]).description
    for node in ("n1", "n3", "n4"):
        assert received[node].outcome is None
        assert contents(chain.directory(node)) == contents(tree)
    assert chain.shell.killed == {"n2"}


async def test_the_others_do_not_wait_for_a_slow_node(chain: Chain, image: Path, fifo: Fifo) -> None:
    chain.sinks["n2"] = fifo.sink
    total = image.stat().st_size
    complete: set[str] = set()
    drained: list[asyncio.Future[bytes]] = []

    def open_the_tap(node: str, done: int, _total: int) -> None:
        if done == total:
            complete.add(node)
        if complete == {"n1", "n3", "n4"} and not drained:
            drained.append(asyncio.ensure_future(asyncio.to_thread(fifo.drain)))

    received = await chain.send(image, 4, on_progress=open_the_tap)
    assert {node: value.outcome for node, value in received.items()} == dict.fromkeys(("n1", "n2", "n3", "n4"))
    assert await drained[0] == image.read_bytes()


async def test_a_node_that_passes_on_other_bytes_is_found_out(chain: Chain, image: Path, tree: Path) -> None:
    chain.shell.programs_of["n2"] = (sys.executable, str(Path(__file__).with_name("corrupting_node.py")))
    received = await chain.send(image, 4)
    assert {value.outcome for value in received.values()} == {None}
    for node in ("n1", "n3", "n4"):
        assert contents(chain.directory(node)) == contents(tree)
    notes = result(chain, "n3")["notes"]
    assert isinstance(notes, list)
    assert notes[0] == "left n2 at block 2: block 2 is not the one that was registered"
    assert not any("left n2" in note for note in notes[1:])


async def test_nodes_that_are_not_there_are_not_in_the_chain(chain: Chain, image: Path) -> None:
    chain.shell.unreachable = {"n1"}
    chain.shell.programs_of["n3"] = ("sh", "-c", "echo no such program >&2; exit 127")
    received = await chain.send(image, 4)
    assert received["n1"].outcome == Failure(
        reason=FailureReason.TRANSFER_FAILED, description="n1 does not answer on 127.0.0.11 port 22"
    )
    assert "build it anew" in failure(received["n3"]).description
    assert (received["n2"].outcome, received["n4"].outcome) == (None, None)
    assert [list(result(chain, node)["upstreams"]) for node in ("n2", "n4")] == [["the deployer"], ["n2"]]  # type: ignore[call-overload]


async def test_another_digest_than_registered_is_sent_to_nobody(chain: Chain, image: Path) -> None:
    registered = "sha256:" + "0" * 64
    received = await chain.send(image, 2, digest=registered)
    for node in ("n1", "n2"):
        assert failure(received[node]).reason is FailureReason.DIGEST_MISMATCH
        assert not failure(received[node]).retriable
        assert registered in failure(received[node]).description
        assert digest_of(image) in failure(received[node]).description
    assert chain.shell.lines == {}


async def test_a_full_device_fails_with_the_words_of_the_program(chain: Chain, image: Path) -> None:
    chain.sinks["n1"] = BroadcastSink(kind="dd", compression="zstd", target="/dev/full")
    chain.sinks["n3"] = BroadcastSink(kind="dd", compression="none", target="/dev/full")
    received = await chain.send(image, 4)
    assert failure(received["n1"]).reason is FailureReason.TRANSFER_FAILED
    assert "zstd ended with status" in failure(received["n1"]).description
    assert "No space left on device" in failure(received["n1"]).description
    assert failure(received["n3"]).description == "writing /dev/full failed: No space left on device"
    assert (received["n2"].outcome, received["n4"].outcome) == (None, None)


async def test_a_full_file_system_fails_with_the_words_of_tar(chain: Chain, image: Path) -> None:
    space = ("unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=2m none "$0" && exec "$@"')
    full = chain.directory("n1")
    probe = subprocess.run([*space, str(full), "true"], check=False, capture_output=True, timeout=30)
    if probe.returncode:
        pytest.skip("this user may not mount a file system of its own")
    chain.shell.programs_of["n1"] = (*space, str(full), *KABROADCAST)
    received = await chain.send(image, 2)
    assert failure(received["n1"]).reason is FailureReason.TRANSFER_FAILED
    assert "tar ended with status 2: tar: " in failure(received["n1"]).description
    assert "No space left on device" in failure(received["n1"]).description
    assert received["n2"].outcome is None


async def test_what_is_no_archive_fails_with_the_words_of_the_program(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no archive at all" * 1000)
    received = await chain.send(tmp_path / "file", 2)
    for node in ("n1", "n2"):
        assert "zstd" in failure(received[node]).description
        assert failure(received[node]).reason is FailureReason.TRANSFER_FAILED


async def test_a_file_that_changes_meanwhile_is_named(chain: Chain, tmp_path: Path, fifo: Fifo) -> None:
    changing = tmp_path / "changing"
    # More than ring, sockets and pipes can hold together: its end is still unread when it changes.
    changing.write_bytes(os.urandom(MEBIBYTE) * 40)
    digest = digest_of(changing)
    chain.sinks["n1"] = fifo.sink
    chain.settings = replace(chain.settings, ring_bytes=0)
    drained: list[asyncio.Future[bytes]] = []

    def change_it(node: str, _done: int, total: int) -> None:
        if json.loads(chain.shell.lines[node][-1])["received_bytes"] and not drained:
            with changing.open("r+b") as file:
                file.seek(total - 100)
                file.write(b"something else")
            drained.append(asyncio.ensure_future(asyncio.to_thread(fifo.drain)))

    received = await chain.send(changing, 1, digest=digest, on_progress=change_it)
    await drained[0]
    assert f"{changing} was changed while it was being sent" in failure(received["n1"]).description


async def test_the_time_of_the_whole_is_bounded(chain: Chain, image: Path, fifo: Fifo) -> None:
    chain.sinks["n1"] = fifo.sink
    received = await chain.send(image, 1, timeout=1.5)
    assert failure(received["n1"]).description == "the file was not complete in time"
    assert chain.shell.killed == set()


async def test_a_cancelled_broadcast_leaves_nothing_running(chain: Chain, image: Path, fifo: Fifo) -> None:
    chain.sinks["n2"] = fifo.sink

    def cancel_it(_node: str, _done: int, _total: int) -> None:
        sending.cancel()

    sending = asyncio.create_task(chain.send(image, 2, on_progress=cancel_it))
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert chain.shell.killed == set()


async def test_a_file_that_cannot_be_read_is_an_outcome(chain: Chain, tmp_path: Path) -> None:
    received = await chain.send_opened(OpenedFile(os.open(tmp_path, os.O_RDONLY), name="a directory"), 2)
    for node in ("n1", "n2"):
        assert failure(received[node]).description == "a directory cannot be read: Is a directory"
