"""Chains of real programs on loopback addresses, one address per node."""

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kadeploy_deployer.broadcast.chain import ChainBroadcast
from kadeploy_deployer.broadcast.instructions import ChainSettings
from kadeploy_deployer.broadcast.manifest import Manifest, compute_manifest
from kadeploy_deployer.ports import BroadcastSink, BroadcastTarget, OpenedFile, Received, ShellHost
from tests.fakes.local_shell import KABROADCAST, LocalShell

BLOCK = 1 << 20

Progress = Callable[[str, int, int], None]


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

    async def send(
        self,
        path: Path,
        nodes: int,
        *,
        digest: str = "",
        timeout: float = 30.0,
        compression: str = "zstd",
        on_progress: Progress = _ignore,
    ) -> Mapping[str, Received]:
        """Broadcasts a file to so many nodes."""
        return await self.send_opened(
            OpenedFile.open(path),
            nodes,
            digest=digest or manifest_of(path).digest,
            timeout=timeout,
            compression=compression,
            on_progress=on_progress,
        )

    async def send_opened(
        self,
        file: OpenedFile,
        nodes: int,
        *,
        digest: str = "",
        timeout: float = 30.0,
        compression: str = "zstd",
        on_progress: Progress = _ignore,
    ) -> Mapping[str, Received]:
        """Broadcasts a file that is open, and closes it."""
        with file:
            return await ChainBroadcast(self.shell, self.settings).send(
                file,
                digest=digest,
                user="alice",
                targets=[self.target(number, compression=compression) for number in range(1, nodes + 1)],
                timeout=timeout,
                on_progress=on_progress,
            )


def manifest_of(path: Path) -> Manifest:
    """Returns the manifest of a file."""
    with OpenedFile.open(path) as file:
        return compute_manifest(file)


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    """A chain whose patience is short, and whose nodes remember few blocks."""
    shell = LocalShell({"/usr/bin/kabroadcast": KABROADCAST})
    run_directory = tmp_path / "run"
    run_directory.mkdir()
    yield Chain(
        root=tmp_path,
        shell=shell,
        settings=ChainSettings(
            node_port=free_port(),
            run_directory=str(run_directory),
            ring_bytes=4 * BLOCK,
            start_bound=30,
            silence_bound=20,
            connect_bound=2,
            stall_bound=2.5,
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
    """A small system: directories, links, modes, and more bytes than the nodes remember."""
    tree = tmp_path_factory.mktemp("tree")
    (tree / "bin").mkdir(mode=0o755)
    (tree / "bin" / "program").write_bytes(os.urandom(3 * BLOCK + 17))
    (tree / "bin" / "program").chmod(0o4755)
    (tree / "link").symlink_to("/bin/program")
    (tree / "hard").hardlink_to(tree / "bin" / "program")
    (tree / "empty").touch(mode=0o600)
    for number in range(12):
        (tree / f"data{number}").write_bytes(os.urandom(BLOCK))
    return tree


@pytest.fixture(scope="session")
def image(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as tar.zst: about 16 blocks."""
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
