"""Chains of real programs on loopback addresses, one address per node."""

import asyncio
import hashlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from kadeploy_deployer.broadcast.chain import ChainBroadcast
from kadeploy_deployer.broadcast.instructions import ChainSettings
from kadeploy_deployer.broadcast.manifest import Manifest, compute_manifest
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.ports import (
    BroadcastSession,
    BroadcastSink,
    BroadcastTarget,
    OnProgress,
    OpenedFile,
    Received,
    ReceiveFailed,
    ShellHost,
)
from tests.fakes.local_shell import KABROADCAST, LocalShell

BLOCK = 256 << 10

Progress = Callable[[str, int, int], None]
Results = Mapping[str, Received | Failure]


def _ignore(_node: str, _done: int, _total: int) -> None:
    return


@dataclass(slots=True, kw_only=True)
class Chain:
    """Nodes n1, n2, … with a directory each, and what a test changes about them."""

    root: Path
    shell: LocalShell
    settings: ChainSettings
    sinks: dict[str, BroadcastSink] = field(default_factory=dict)

    def directory(self, node: str) -> Path:
        """Returns where a node unpacks."""
        directory = self.root / node
        directory.mkdir(exist_ok=True)
        return directory

    def target(self, number: int, *, compression: str = "zstd") -> BroadcastTarget:
        """Returns a node as a target; it unpacks unless the test gave it another sink."""
        name = f"n{number}"
        sink = self.sinks.get(name) or BroadcastSink(
            kind="tar", compression=compression, target=str(self.directory(name))
        )
        host = ShellHost(name=name, address=f"127.0.0.{number + 10}", host_keys=("ssh-ed25519 A",))
        return BroadcastTarget(host=host, sink=sink)

    @asynccontextmanager
    async def session(self, path: Path, *, digest: str = "") -> AsyncIterator[BroadcastSession]:
        """Opens a session for a file."""
        async with self.opened_session(OpenedFile.open(path), digest=digest or digest_of(path)) as session:
            yield session

    @asynccontextmanager
    async def opened_session(self, file: OpenedFile, *, digest: str) -> AsyncIterator[BroadcastSession]:
        """Opens a session for a file that is open, and closes it in the end."""
        broadcast = ChainBroadcast(self.shell, self.settings)
        with file:
            async with broadcast.session(file, digest=digest, user="alice") as session:
                yield session

    async def receive(
        self,
        session: BroadcastSession,
        number: int,
        *,
        timeout: float = 30.0,
        compression: str = "zstd",
        on_progress: OnProgress = lambda _done, _total: None,
    ) -> Received | Failure:
        """Has a node receive; its failure is returned."""
        target = self.target(number, compression=compression)
        try:
            return await session.receive(target, timeout=timeout, on_progress=on_progress)
        except ReceiveFailed as failed:
            return failed.failure

    async def send(
        self,
        path: Path,
        nodes: int,
        *,
        digest: str = "",
        timeout: float = 30.0,
        compression: str = "zstd",
        on_progress: Progress = _ignore,
    ) -> Results:
        """Has so many nodes receive a file at once."""
        async with self.session(path, digest=digest) as session:
            results = await asyncio.gather(
                *(
                    self.receive(
                        session,
                        number,
                        timeout=timeout,
                        compression=compression,
                        on_progress=partial(on_progress, f"n{number}"),
                    )
                    for number in range(1, nodes + 1)
                )
            )
        return {f"n{number}": result for number, result in enumerate(results, 1)}

    def result(self, node: str) -> dict[str, object]:
        """Returns the last result that a node reported."""
        return self.said(node, "result")[-1]

    def said(self, node: str, event: str) -> list[dict[str, object]]:
        """Returns what a node reported of a kind."""
        lines: list[dict[str, object]] = [json.loads(line) for line in self.shell.lines.get(node, [])]
        return [line for line in lines if line["event"] == event]


def manifest_of(path: Path) -> Manifest:
    """Returns the manifest of a file."""
    with OpenedFile.open(path) as file:
        return compute_manifest(file)


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    """A chain whose patience is short."""
    shell = LocalShell({"/usr/bin/kabroadcast": KABROADCAST})
    run_directory = tmp_path / "run"
    run_directory.mkdir()
    yield Chain(
        root=tmp_path,
        shell=shell,
        settings=ChainSettings(
            node_port=free_port(),
            run_directory=str(run_directory),
            # All are ready before the first begins, however slow this machine is to start them.
            gather_bound=30,
            start_bound=30,
            silence_bound=20,
            hold_bound=0.3,
            give_up_bound=10,
            farewell_bound=5,
        ),
    )
    assert [node for node, process in shell.processes.items() if process.returncode is None] == []
    assert list(run_directory.glob("*.new")) == []


def free_port() -> int:
    """Returns a port below those that the system gives away by itself, another for each test process."""
    return 20000 + os.getpid() % 10000


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small system: directories, links, modes, and random bytes."""
    tree = tmp_path_factory.mktemp("tree")
    (tree / "bin").mkdir(mode=0o755)
    (tree / "bin" / "program").write_bytes(os.urandom((3 << 20) + 17))
    (tree / "bin" / "program").chmod(0o4755)
    (tree / "link").symlink_to("/bin/program")
    (tree / "hard").hardlink_to(tree / "bin" / "program")
    (tree / "empty").touch(mode=0o600)
    for number in range(12):
        (tree / f"data{number}").write_bytes(os.urandom(1 << 20))
    return tree


@pytest.fixture(scope="session")
def image(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as tar.zst: about 60 blocks."""
    image = tmp_path_factory.mktemp("image") / "image.tar.zst"
    subprocess.run(
        ["tar", "-c", "--numeric-owner", "--zstd", "-f", str(image), "-C", str(tree), "."], check=True, timeout=60
    )
    return image


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator["Fifo"]:
    """A device that takes nothing until the test wants it to."""
    fifo = Fifo(tmp_path / "fifo")
    yield fifo
    fifo.close()


class Fifo:
    """A named pipe that stands for a device: a node that writes to it is as slow as the test likes."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.sink = BroadcastSink(kind="dd", compression="none", target=str(path))
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def drain(self) -> bytes:
        """Returns all that was written, until the writer closes."""
        os.set_blocking(self._reader, True)
        parts = iter(lambda: os.read(self._reader, 1 << 16), b"")
        return b"".join(parts)

    def close(self) -> None:
        """Takes no more."""
        os.close(self._reader)


def contents(directory: Path) -> dict[str, tuple[int, str, bytes]]:
    """Returns mode, link target and content of everything below a directory."""
    found = {}
    for path in sorted(directory.rglob("*")):
        link = str(path.readlink()) if path.is_symlink() else ""
        content = path.read_bytes() if path.is_file() and not link else b""
        found[str(path.relative_to(directory))] = (path.lstat().st_mode, link, content)
    return found


def digest_of(path: Path) -> str:
    """Returns the digest of a file as environments register it."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
