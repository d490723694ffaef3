"""What a chain of nodes does with a file, in good times and bad."""

import asyncio
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import BroadcastSink, OpenedFile, Received
from tests.fakes.local_shell import KABROADCAST
from tests.integration.broadcast.conftest import BLOCK, Chain, Fifo, Results, contents, digest_of

# These tests watch what other processes do with small local files; nothing else runs in their loop.
# ruff: noqa: ASYNC221, ASYNC240
pytestmark = pytest.mark.integration


def failure(received: Received | Failure) -> Failure:
    assert isinstance(received, Failure)
    return received


def arrived(results: Results) -> set[str]:
    """Returns the nodes that received everything."""
    return {node for node, result in results.items() if isinstance(result, Received)}


async def test_five_nodes_unpack_the_same_system_and_prove_it(chain: Chain, image: Path, tree: Path) -> None:
    progress: dict[str, tuple[int, int]] = {}
    received = await chain.send(image, 5, on_progress=lambda node, done, total: progress.update({node: (done, total)}))
    size = image.stat().st_size
    assert arrived(received) == {"n1", "n2", "n3", "n4", "n5"}
    for result in received.values():
        assert isinstance(result, Received)
        assert (result.digest, result.received_bytes) == (digest_of(image), size)
    assert progress == dict.fromkeys(received, (size, size))
    wanted = contents(tree)
    for node in received:
        assert contents(chain.directory(node)) == wanted
    stream = size + 4096
    assert [chain.result(f"n{number}")["upstreams"] for number in range(1, 6)] == [
        {name: stream} for name in ("the deployer", "n1", "n2", "n3", "n4")
    ]
    assert chain.shell.killed == set()


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1])
async def test_a_file_of_any_size_reaches_a_device(chain: Chain, tmp_path: Path, size: int) -> None:
    file, device = tmp_path / "file", tmp_path / "device"
    file.write_bytes(os.urandom(size))
    device.touch()
    chain.sinks["n1"] = BroadcastSink(kind="dd", compression="none", target=str(device))
    received = await chain.send(file, 1)
    result = received["n1"]
    assert isinstance(result, Received)
    assert (result.digest, result.received_bytes) == (digest_of(file), size)
    assert device.read_bytes() == file.read_bytes()


@pytest.mark.parametrize(("compression", "program"), [("none", ""), ("gzip", "gzip"), ("bzip2", "bzip2"), ("xz", "xz")])
async def test_each_compression_is_unpacked(chain: Chain, tmp_path: Path, compression: str, program: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "word").write_text("hello")
    archive = tmp_path / "archive"
    flag = [f"--{program}"] if program else []
    subprocess.run(["tar", "-c", *flag, "-f", str(archive), "-C", str(tmp_path / "in"), "."], check=True, timeout=60)
    received = await chain.send(archive, 1, compression=compression)
    assert arrived(received) == {"n1"}
    assert (chain.directory("n1") / "word").read_text() == "hello"


async def test_nobody_to_send_to_is_no_error(chain: Chain, image: Path) -> None:
    assert await chain.send(image, 0) == {}


async def test_nodes_that_are_not_there_are_not_in_the_chain(chain: Chain, image: Path) -> None:
    chain.shell.unreachable = {"n1"}
    chain.shell.programs_of["n3"] = ("sh", "-c", "echo no such program >&2; exit 127")
    received = await chain.send(image, 4)
    assert received["n1"] == Failure(
        reason=FailureReason.TRANSFER_FAILED, description="n1 does not answer on 127.0.0.11 port 22"
    )
    assert "build it anew" in failure(received["n3"]).description
    assert arrived(received) == {"n2", "n4"}
    assert [list(chain.result(node)["upstreams"]) for node in ("n2", "n4")] == [["the deployer"], ["n2"]]  # type: ignore[call-overload]


async def test_a_program_of_another_release_is_refused_with_a_sentence(chain: Chain, image: Path) -> None:
    old = "echo kabroadcast: version 2 is not known here >&2; exit 2"
    chain.shell.programs_of["n1"] = ("sh", "-c", f"head -1 >/dev/null; {old}")
    received = await chain.send(image, 2)
    assert failure(received["n1"]).description == (
        "the deployment environment's broadcast program is not of this release; build it anew "
        "(kabroadcast: version 2 is not known here)"
    )
    assert arrived(received) == {"n2"}


@pytest.mark.parametrize("chains", [2, 3])
async def test_several_chains_begin_at_the_deployer(chain: Chain, image: Path, chains: int) -> None:
    chain.settings = replace(chain.settings, chains=chains)
    received = await chain.send(image, 6)
    assert len(arrived(received)) == 6
    first = [node for node in received if list(chain.result(node)["upstreams"]) == ["the deployer"]]  # type: ignore[call-overload]
    assert first == [f"n{1 + number * 6 // chains}" for number in range(chains)]


async def test_by_http_every_node_fetches_from_the_deployer_and_none_listens(
    chain: Chain, image: Path, tree: Path
) -> None:
    chain.settings = replace(chain.settings, method="http")
    received = await chain.send(image, 3)
    assert len(arrived(received)) == 3
    for node in received:
        assert contents(chain.directory(node)) == contents(tree)
        assert list(chain.result(node)["upstreams"]) == ["the deployer"]  # type: ignore[call-overload]
        assert chain.said(node, "ready")[0]["port"] == 0


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
    assert arrived(received) == {"n2", "n4"}


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
    assert arrived(received) == {"n2"}


async def test_what_is_no_archive_fails_with_the_words_of_the_program(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no archive at all" * 1000)
    received = await chain.send(tmp_path / "file", 2)
    for node in ("n1", "n2"):
        assert "zstd" in failure(received[node]).description
        assert failure(received[node]).reason is FailureReason.TRANSFER_FAILED


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
    file = OpenedFile(os.open(tmp_path, os.O_RDONLY), name="a directory")
    async with chain.opened_session(file, digest="sha256:" + "0" * 64) as session:
        for number in (1, 2):
            failed = failure(await chain.receive(session, number))
            assert failed.description == "a directory cannot be read: Is a directory"
