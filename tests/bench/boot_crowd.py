"""How long kernel and initrd take for many machines at once, by TFTP and by HTTP, and for one machine at a distance.

The TFTP server is the lab's own (tftpd-hpa), the HTTP server busybox's; the machines are processes of curl, in a
network namespace behind a link of one gigabit a second. Distance is made by `delay_relay`, for one machine alone.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

SERVER, CLIENTS = "10.99.0.1", "10.99.0.2"
LINK_MEGABITS = 1000
CROWDS = (1, 50, 300)
ROUND_TRIP_SECONDS = 0.001
BLOCK_BYTES = 1468
PORTS = {"tftp": 69, "http": 80}
RELAYED = {"tftp": 1069, "http": 1080}
LONGEST = 150.0
READY_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What each machine fetches, one after the other: files of a directory, and how many bytes they are together."""

    directory: Path
    names: Sequence[str]

    @property
    def size(self) -> int:
        """Returns how many bytes a machine has to get."""
        return sum((self.directory / name).stat().st_size for name in self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """How long the machines of a crowd took, in seconds, and how many did not get all of it."""

    last: float
    median: float
    failed: int


def measure(files: Files) -> dict[str, Any]:
    """Returns the figures of crowds, by number of machines, and those of one machine at a distance.

    Args:
        files: alone in their directory, which servers give out; readable for everybody.
    """
    with ExitStack() as stack:
        server, clients = (stack.enter_context(namespace()) for _ in range(2))
        join(server, clients)
        stack.enter_context(serving(server, files))
        crowds = {count: _both(clients, PORTS, files, count) for count in CROWDS}
        with relay(server, ROUND_TRIP_SECONDS / 2):
            distant = _both(clients, RELAYED, files, 1)
    # The relay takes its own time; what a block really waited is what TFTP took longer.
    waited = (distant["tftp"]["last"] - crowds[1]["tftp"]["last"]) / (files.size / BLOCK_BYTES)
    return {
        "bytes": files.size,
        "link_megabits": LINK_MEGABITS,
        "by_machines": crowds,
        "at_a_distance": {"round_trip_milliseconds": round(1000 * waited, 2), **distant},
    }


def _both(clients: int, ports: dict[str, int], files: Files, count: int) -> dict[str, Any]:
    found = {way: fetch(clients, f"{way}://{SERVER}:{port}", files, count) for way, port in ports.items()}
    seconds = {
        way: {"last": round(one.last, 2), "median": round(one.median, 2), "failed": one.failed}
        for way, one in found.items()
    }
    return {**seconds, "ratio_tftp_to_http": round(found["tftp"].last / found["http"].last, 2)}


def fetch(clients: int, server: str, files: Files, count: int) -> Fetched:
    """Lets so many machines fetch the files from a server at once."""
    words = ["curl", "--silent", "--max-time", f"{LONGEST:g}", "--tftp-blksize", str(BLOCK_BYTES)]
    # A loader whose fetch breaks off begins again, after as long as the entries of bootctl say.
    words += ["--retry", "20", "--retry-all-errors", "--retry-delay", "5", "--retry-max-time", f"{LONGEST:g}"]
    words += ["--write-out", "%{size_download} "]
    for name in files.names:
        words += ["--output", "/dev/null", f"{server}/{name}"]
    begin = time.monotonic()
    running = [
        subprocess.Popen(inside(clients, words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(count)
    ]
    took: list[float] = []
    failed = 0
    try:
        waiting = set(running)
        while waiting:
            ended = {one for one in waiting if one.poll() is not None}
            took += [time.monotonic() - begin] * len(ended)
            waiting -= ended
            time.sleep(0.01)
        for one in running:
            told, _ = one.communicate()
            failed += one.returncode != 0 or sum(int(word) for word in told.split()) != files.size
    finally:
        for one in running:
            one.kill()
    return Fetched(last=max(took), median=median(took), failed=failed)


@contextmanager
def namespace() -> Iterator[int]:
    """Makes a network namespace and gives the process that holds it; both end together."""
    words = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo ready && exec cat"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() != "ready\n":
                raise SystemExit("no network namespace can be made: run as root")
            yield holder.pid
        finally:
            holder.kill()


def inside(pid: int, command: Sequence[str]) -> list[str]:
    """Returns the command line that runs a command in the namespace of a process."""
    return ["nsenter", f"--net=/proc/{pid}/ns/net", *command]


def join(server: int, clients: int) -> None:
    """Lays a cable between two namespaces, as wide as a server's usual one."""
    ends = ["veth", "peer", "name", "clients", "netns", str(clients)]
    run(["ip", "link", "add", "server", "netns", str(server), "type", *ends])
    for pid, name, address in ((server, "server", SERVER), (clients, "clients", CLIENTS)):
        run(inside(pid, ["ip", "address", "add", f"{address}/24", "dev", name]))
        run(inside(pid, ["ip", "link", "set", name, "up"]))
    rate = ["rate", f"{LINK_MEGABITS}mbit", "burst", "256kb", "latency", "50ms"]
    run(inside(server, ["tc", "qdisc", "add", "dev", "server", "root", "tbf", *rate]))


@contextmanager
def serving(server: int, files: Files) -> Iterator[None]:
    """Gives the files out by TFTP and by HTTP, from memory: each file was read just before."""
    tftp = ["in.tftpd", "--listen", "--foreground", "--ipv4", "--address", f"{SERVER}:{PORTS['tftp']}"]
    tftp += ["--user", "nobody", "--blocksize", str(BLOCK_BYTES), "--secure", str(files.directory)]
    http = ["busybox", "httpd", "-f", "-p", f"{SERVER}:{PORTS['http']}", "-u", "nobody", "-h", str(files.directory)]
    for name in files.names:
        (files.directory / name).read_bytes()
    with started(inside(server, tftp)), started(inside(server, http)):
        until_listening(server, set(PORTS.values()))
        yield


@contextmanager
def relay(server: int, one_way: float) -> Iterator[None]:
    """Puts a way of so many seconds before both servers, at ports of its own."""
    pairs = [f"{RELAYED[scheme]}:{PORTS[scheme]}" for scheme in ("tftp", "http")]
    with started(inside(server, [sys.executable, "-m", "tests.bench.delay_relay", str(one_way), SERVER, *pairs])):
        until_listening(server, set(RELAYED.values()))
        yield


@contextmanager
def started(command: Sequence[str]) -> Iterator[None]:
    """Runs a server meanwhile."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(READY_SECONDS)


def until_listening(pid: int, ports: set[int]) -> None:
    """Waits until somebody listens on all of the ports."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        lines = run(inside(pid, ["ss", "-H", "-l", "-t", "-u", "-n"])).splitlines()
        if ports <= {int(line.split()[4].rsplit(":", 1)[1]) for line in lines}:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"nobody listens on all of the ports {sorted(ports)}")
        time.sleep(0.1)


def run(command: Sequence[str]) -> str:
    """Runs a short command."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=READY_SECONDS).stdout
