"""The ways to bring a file to all hosts: ours, and what Debian has."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.broadcast.site import Site, wait_for_listener
from tests.fakes.local_shell import KABROADCAST

POLL_SECONDS = 0.005
STALLED_SECONDS = 10.0
"""Without a byte anywhere: what waits for so long never comes."""
NEEDED = ("udp-sender", "uftp", "uftpd", "aria2c", "nginx", "nc", "curl")


@dataclass(slots=True, kw_only=True)
class Transfer:
    """One file on its way. Times are of the monotonic clock.

    Attributes:
        begun: when the sender began; by host for those that came later.
        done: when a host had everything.
        late: hosts and the seconds after the beginning at which they come.
        slow_disks: hosts and the bytes a second that their disk takes.
        notes: what the program said, for whoever looks into a figure.
    """

    site: Site
    file: Path
    timeout: float
    late: Mapping[int, float] = field(default_factory=dict)
    slow_disks: Mapping[int, float] = field(default_factory=dict)
    begun: float = 0.0
    begun_of: dict[int, float] = field(default_factory=dict)
    done: dict[int, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)

    @property
    def hosts(self) -> range:
        """The receiving hosts."""
        return range(1, self.site.nodes + 1)

    def target(self, host: int) -> Path:
        """Returns where a host puts the file."""
        return self.site.storage(host) / self.file.name

    def begin(self) -> None:
        """Notes that the sender begins now. What it took to start all programs is not counted."""
        self.begun = time.monotonic()
        self.site.account.begin()
        self.started.set()

    def watch(self, living: Callable[[], set[int]], complete: Callable[[int], bool] | None = None) -> None:
        """Waits until all living hosts have everything, nothing comes any more, or the time is over."""
        size = self.file.stat().st_size
        full = complete or (lambda host: self.target(host).exists() and self.target(host).stat().st_size >= size)
        last = (0, time.monotonic())
        while time.monotonic() < self.begun + self.timeout:
            arrived = sum(self.target(host).stat().st_size for host in living() if self.target(host).exists())
            if arrived != last[0]:
                last = (arrived, time.monotonic())
            elif time.monotonic() - last[1] > STALLED_SECONDS:
                return
            for host in living() - set(self.done):
                if full(host):
                    self.done[host] = time.monotonic()
            if living() <= set(self.done):
                return
            time.sleep(POLL_SECONDS)


Method = Callable[[Transfer, Callable[[], set[int]]], None]


def ours(transfer: Transfer, living: Callable[[], set[int]]) -> None:
    """Our own broadcast, over a real sshd on each host."""
    site = transfer.site
    for host, pace in transfer.slow_disks.items():
        os.mkfifo(transfer.target(host))
        threading.Thread(target=_drain, args=(transfer.target(host), pace), daemon=True).start()
    nodes = []
    for host in transfer.hosts:
        if host not in transfer.slow_disks:
            transfer.target(host).touch()
        nodes.append(
            {
                "name": f"n{host}",
                "address": site.address(host),
                "target": str(transfer.target(host)),
                "after": transfer.late.get(host, 0.0),
            }
        )
    plan = {
        "key": str(site.directory / "client_key"),
        "host_key": " ".join((site.directory / "host_key.pub").read_text().split()[:2]),
        "program": KABROADCAST,
        "directory": str(site.directory),
        "file": str(transfer.file),
        "digest": f"sha256:{hashlib.sha256(transfer.file.read_bytes()).hexdigest()}",
        "nodes": nodes,
        "timeout": 120 + transfer.timeout,
    }
    process = subprocess.Popen(
        site.on(0, sys.executable, "-m", "tests.bench.broadcast.deploy"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(plan))
    process.stdin.close()
    threading.Thread(target=_listen, args=(transfer, process), daemon=True).start()
    try:
        if not transfer.started.wait(180):
            raise TimeoutError("our own broadcast did not begin")
        while time.monotonic() < transfer.begun + transfer.timeout and not living() <= set(transfer.done):
            time.sleep(POLL_SECONDS)
    finally:
        process.terminate()
        process.wait(30)


def _listen(transfer: Transfer, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        said = json.loads(line)
        host = int(said["node"].removeprefix("n"))
        if said["event"] == "begun":
            transfer.begun_of[host] = said["time"]
            if not transfer.started.is_set():
                transfer.begin()
                transfer.begun = said["time"]
        elif said["event"] == "received":
            transfer.done[host] = said["time"]
        elif said["event"] in {"failed", "note"}:
            transfer.notes.append(f"{said['time'] - transfer.begun:.3f} {line.strip()}")


def _drain(fifo: Path, pace: float) -> None:
    piece = 64 << 10
    with fifo.open("rb", buffering=0) as disk:
        while content := disk.read(piece):
            time.sleep(len(content) / pace)


def nc_chain(transfer: Transfer, living: Callable[[], set[int]]) -> None:
    """A chain of `nc | tee | nc`."""
    site, last = transfer.site, transfer.site.nodes
    for host in reversed(transfer.hosts):
        target = transfer.target(host)
        if host == last:
            site.start(host, "sh", "-c", f"exec nc -l 9000 > {target}")
        else:
            site.start(host, "sh", "-c", f"nc -l 9000 | tee {target} | nc -N {site.address(host + 1)} 9000")
        wait_for_listener(site, host, 9000)
    transfer.begin()
    site.start(0, "sh", "-c", f"exec nc -N {site.address(1)} 9000 < {transfer.file}")
    transfer.watch(living)


def udpcast(transfer: Transfer, living: Callable[[], set[int]]) -> None:
    """Multicast with acknowledgements, by udpcast."""
    site = transfer.site
    for host in transfer.hosts:
        site.start(host, "udp-receiver", "--nokbd", "--interface", "eth0", "--file", str(transfer.target(host)))
    time.sleep(1)
    transfer.begin()
    rate = f"{int(site.mbits * 1000)}k"
    options = ["--nokbd", "--interface", "eth0", "--min-receivers", str(site.nodes), "--full-duplex", "--nopointopoint"]
    site.start(0, "udp-sender", *options, "--max-bitrate", rate, "--file", str(transfer.file))
    transfer.watch(living)


def uftp(transfer: Transfer, living: Callable[[], set[int]]) -> None:
    """Multicast with repairs, by uftp."""
    site = transfer.site
    for host in transfer.hosts:
        site.start(host, "uftpd", "-d", "-I", "eth0", "-D", str(site.storage(host)))
    time.sleep(1)
    transfer.begin()
    site.start(0, "uftp", "-I", "eth0", "-R", str(int(site.mbits * 930)), str(transfer.file))
    transfer.watch(living)


def nginx(transfer: Transfer, living: Callable[[], set[int]]) -> None:
    """Every host fetches from one web server."""
    site = transfer.site
    settings = site.directory / "nginx.conf"
    settings.write_text(
        f"user root;\npid {site.directory}/nginx.pid;\nerror_log /dev/null;\nevents {{ worker_connections 1024; }}\n"
        f"http {{ access_log off; sendfile on; server {{ listen 9000; root {site.directory}; }} }}\n"
    )
    site.start(0, "nginx", "-g", "daemon off;", "-c", str(settings))
    wait_for_listener(site, 0, 9000)
    transfer.begin()
    for host in transfer.hosts:
        source = f"http://{site.address(0)}:9000/{transfer.file.name}"
        site.start(host, "curl", "-s", "-o", str(transfer.target(host)), source)
    transfer.watch(living)


def aria2(transfer: Transfer, living: Callable[[], set[int]]) -> None:
    """A BitTorrent swarm of aria2."""
    site = transfer.site
    torrent = site.directory / "file.torrent"
    torrent.write_bytes(_torrent(transfer.file, f"http://{site.address(0)}:9001/announce"))
    hook = site.directory / "done.sh"
    hook.write_text('#!/bin/sh\ntouch "$(dirname "$3")/done"\n')
    hook.chmod(0o755)
    peers = [site.address(host) for host in (0, *transfer.hosts)]
    site.start(0, sys.executable, "-m", "tests.bench.broadcast.tracker", "9001", "9000", *peers)
    wait_for_listener(site, 0, 9001)
    options = ["--enable-dht=false", "--file-allocation=none", "--seed-ratio=0", "--quiet"]
    options += ["--bt-max-peers=0", "--bt-request-peer-speed-limit=1000M", "--listen-port=9000"]
    for host in transfer.hosts:
        site.start(
            host, "aria2c", *options, f"--on-bt-download-complete={hook}", f"--dir={site.storage(host)}", str(torrent)
        )
        wait_for_listener(site, host, 9000)
    transfer.begin()
    seeding = [*options, f"--dir={transfer.file.parent}", "--check-integrity=true"]
    site.start(0, "aria2c", *seeding, str(torrent))

    transfer.watch(living, lambda host: (site.storage(host) / "done").exists())


def _torrent(file: Path, tracker: str) -> bytes:
    piece = 256 << 10
    content = file.read_bytes()
    pieces = b"".join(
        hashlib.sha1(content[start : start + piece], usedforsecurity=False).digest()
        for start in range(0, len(content), piece)
    )
    name = file.name.encode()
    info = b"d6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%se" % (
        *(len(content), len(name), name, piece, len(pieces), pieces),
    )
    return b"d8:announce%d:%s4:info%se" % (len(tracker), tracker.encode(), info)


METHODS: Mapping[str, Method] = {
    "ours": ours,
    "nc | tee": nc_chain,
    "udpcast": udpcast,
    "uftp": uftp,
    "nginx": nginx,
    "aria2": aria2,
}


def missing() -> list[str]:
    """Returns the programs that are not on this host."""
    return [
        program
        for program in (*NEEDED, "sshd", "tc")
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None
    ]
