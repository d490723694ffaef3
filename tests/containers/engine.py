"""A container engine in namespaces of its own: this host's network, mounts and processes stay as they are."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.containers.tools import compose_program, engine_tree

START_SECONDS = 120.0
STOP_SECONDS = 120.0
ENTER = Path(__file__).parent / "enter-engine"
CGROUPS = Path("/sys/fs/cgroup")
CGROUP_PREFIX = "kadeploy-test-engine-"


class EngineError(Exception):
    """The engine, or a command given to it, failed; the message has its own last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A daemon that runs.

    Attributes:
        directory: its images, volumes, logs and socket.
        tree: its programs.
        pid: its first process, which its namespaces belong to.
    """

    directory: Path
    tree: Path
    pid: int
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where the daemon listens."""
        return f"unix://{self.directory / 'engine.sock'}"

    def docker(self, *arguments: str | Path, timeout: float = 120) -> str:
        """Runs the engine's own client and returns what it printed."""
        return self.run([self.tree / "usr/bin/docker", *arguments], timeout=timeout)

    def compose(self, *arguments: str | Path, timeout: float = 120) -> str:
        """Runs Compose and returns what it printed."""
        return self.run([compose_program(), *arguments], timeout=timeout)

    def inside(self, argv: Sequence[str | Path]) -> list[str | Path]:
        """Returns the argument list that runs a program of this host in the engine's network."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *argv]

    def run(self, argv: Sequence[str | Path], *, timeout: float) -> str:
        """Runs a program with the engine's address; raises EngineError with its last words when it fails."""
        environment = {**os.environ, **self.variables, "DOCKER_HOST": self.address, "BUILDKIT_PROGRESS": "plain"}
        environment["DOCKER_CONFIG"] = str(self.directory / "client")
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-40:])
            raise EngineError(f"{' '.join(map(str, argv[:4]))} … ended with status {done.returncode}:\n{words}")
        return done.stdout


@contextmanager
def private_engine(directory: Path, *, visible: Sequence[Path]) -> Iterator[Engine]:
    """Yields an engine that holds nothing yet; ends it with all its containers and removes all that it made.

    Args:
        directory: for all its data; one run at a time. What a killed run left there is removed first.
        visible: what containers may mount, at the same paths as here.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        lock = stack.enter_context(directory.with_suffix(".lock").open("a"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EngineError(f"another run uses {directory}: wait for its end") from None
        tree = engine_tree()
        _remove_traces(directory)
        directory.mkdir()
        stack.callback(_remove_traces, directory)
        log = stack.enter_context((directory / "engine.log").open("wb"))
        # The kernel ends the daemon when this process dies, however it dies, and every container with the daemon.
        daemon = subprocess.Popen(
            [
                "setpriv", "--pdeathsig", "KILL",
                "unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--",
                ENTER, tree, directory, cgroup_of(directory), *visible,
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        stack.callback(_end, daemon)
        pid = _first_child(daemon)
        uplink = subprocess.Popen(_uplink(tree, pid), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(_end, uplink)
        engine = Engine(directory=directory, tree=tree, pid=pid)
        _wait_until_ready(engine, daemon)
        yield engine


def _uplink(tree: Path, pid: int) -> list[str | Path]:
    """The way out for builds: user-mode networking, so that this host needs neither a bridge nor forwarding."""
    return [
        "setpriv", "--pdeathsig", "KILL",
        tree / "lib64/ld-linux-x86-64.so.2", "--library-path", tree / "usr/lib/x86_64-linux-gnu",
        tree / "usr/bin/slirp4netns", "--configure", "--mtu=1400", "--disable-host-loopback", str(pid), "uplink",
    ]  # fmt: skip


def _first_child(daemon: "subprocess.Popen[bytes]") -> int:
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        found = children.read_text().split()
        if found:
            return int(found[0])
        time.sleep(0.05)
    raise EngineError(f"the engine's namespaces could not be made: unshare ended with status {daemon.poll()}")


def _wait_until_ready(engine: Engine, daemon: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while daemon.poll() is None and time.monotonic() < deadline:
        try:
            engine.docker("version", timeout=10)
        except (EngineError, subprocess.TimeoutExpired):
            time.sleep(0.2)
        else:
            return
    words = (engine.directory / "engine.log").read_text(errors="replace").strip().splitlines()[-5:]
    raise EngineError("the engine did not start: " + " / ".join(words))


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait(STOP_SECONDS)


def cgroup_of(directory: Path) -> str:
    """Returns the name of the control group of an engine, which no other checkout's has."""
    return f"{CGROUP_PREFIX}{hashlib.sha256(str(directory).encode()).hexdigest()[:12]}"


def cgroups_left(directory: Path) -> list[Path]:
    """Returns the control groups of an engine that are there, of either version."""
    name = cgroup_of(directory)
    return [*CGROUPS.glob(f"*/{name}"), *CGROUPS.glob(name)]


def _remove_traces(directory: Path) -> None:
    """Removes the engine's data and its cgroups; all its processes are dead, but the kernel may still be at it."""
    deadline = time.monotonic() + STOP_SECONDS
    while directory.exists():
        try:
            shutil.rmtree(directory)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    deadline = time.monotonic() + STOP_SECONDS
    for top in cgroups_left(directory):
        for folder, _, _ in os.walk(top, topdown=False):
            _remove_cgroup(Path(folder), deadline)


def _remove_cgroup(path: Path, deadline: float) -> None:
    while path.exists():
        try:
            path.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
