"""The hosts of the benchmark: namespaces behind a bridge, their links, and an sshd on each."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.broadcast.cpu_account import CpuAccount

SSHD = "/usr/sbin/sshd"
NETWORK = "10.97"
HOME = Path(__file__).parents[3]
_BOUND = 60.0
_BURST_SECONDS, _QUEUE_SECONDS = 0.005, 0.05
# A burst holds the largest packet that TCP gives to a card (64 KiB). With a smaller one the shaper cuts each of them
# into 45, and the processors of this one machine, not the links, decide how long all methods take. What a full bucket
# gives away is 0.8 % of the smallest file, once.
_LEAST_BURST, _LEAST_QUEUE = 68 << 10, 128 << 10


@dataclass(slots=True, kw_only=True)
class Site:
    """Hosts 0 (the deployer) to `nodes`. `mbits`: the rate of every link."""

    prefix: str
    nodes: int
    mbits: float
    directory: Path
    account: CpuAccount
    sshd_pids: set[int] = field(default_factory=set)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def address(self, host: int) -> str:
        """Returns the address of a host."""
        return f"{NETWORK}.{host // 200}.{host % 200 + 1}"

    def storage(self, host: int) -> Path:
        """Returns the directory, in memory, where a host puts what it receives."""
        path = self.directory / f"host{host}"
        path.mkdir(exist_ok=True)
        return path

    def on(self, host: int, *argv: str) -> list[str]:
        """Returns what runs a program on a host, in the account."""
        return [*self.account.enter, "ip", "netns", "exec", self.namespace(host), *argv]

    def start(self, host: int, *argv: str, stdin: Path | None = None, stdout: Path | None = None) -> "Process":
        """Starts a program on a host."""
        with ExitStack() as stack:
            taken = stack.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
            given = stack.enter_context(stdout.open("wb")) if stdout else subprocess.DEVNULL
            process = subprocess.Popen(
                self.on(host, *argv),
                cwd=HOME,
                stdin=taken,
                stdout=given,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def namespace(self, host: int) -> str:
        """Returns the name of a host's namespace."""
        return f"{self.prefix}-{host}"

    def shape(self, host: int, mbits: float) -> None:
        """Sets the rate of a host's link, in both directions."""
        rate = mbits * 1e6 / 8
        burst = max(_LEAST_BURST, int(rate * _BURST_SECONDS))
        queue = max(_LEAST_QUEUE, int(rate * _QUEUE_SECONDS))
        tbf = ["root", "tbf", "rate", f"{mbits}mbit", "burst", str(burst), "limit", str(queue)]
        _run("tc", "-n", self.namespace(host), "qdisc", "replace", "dev", "eth0", *tbf)
        _run("tc", "-n", self.switch, "qdisc", "replace", "dev", f"p{host}", *tbf)

    def set_link(self, host: int, *, up: bool) -> None:
        """Plugs a host's cable in, or pulls it out: nothing tells the others."""
        _run("ip", "-n", self.switch, "link", "set", f"p{host}", *(["master", "br0"] if up else ["nomaster"]))

    @property
    def switch(self) -> str:
        """The namespace of the bridge."""
        return f"{self.prefix}-sw"

    def kill(self, host: int) -> None:
        """Kills whatever runs on a host, but for its sshd."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.namespace(host)], capture_output=True, text=True, check=True, timeout=_BOUND
        )
        for pid in (int(word) for word in listed.stdout.split()):
            try:
                if Path(f"/proc/{pid}/comm").read_text().strip() not in {"sshd", "ip"}:
                    os.kill(pid, 9)
            except (OSError, ProcessLookupError):
                continue

    def end_processes(self) -> None:
        """Ends what was started here, with all that it started."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, 9)
            process.wait(30)
        self.processes.clear()


Process = subprocess.Popen[bytes]


@contextmanager
def built_site(nodes: int, *, mbits: float, directory: Path, account: CpuAccount) -> Iterator[Site]:
    """Builds a site, and takes it down whatever happens."""
    site = Site(prefix=f"kb{os.getpid()}", nodes=nodes, mbits=mbits, directory=directory, account=account)
    for name in _namespaces():
        owner = name.removeprefix("kb").partition("-")[0]
        if name.startswith("kb") and owner.isdigit() and not Path("/proc", owner).exists():
            # Of a run that was killed.
            _remove([name])
    try:
        _build(site)
        yield site
    finally:
        site.end_processes()
        _remove([name for name in _namespaces() if name.startswith(f"{site.prefix}-")])


def _namespaces() -> list[str]:
    listed = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True, timeout=_BOUND).stdout
    return [line.split()[0] for line in listed.splitlines()]


def _remove(names: Sequence[str]) -> None:
    """Removes namespaces, and ends what runs in them."""
    for name in names:
        pids = subprocess.run(
            ["ip", "netns", "pids", name], capture_output=True, text=True, timeout=_BOUND, check=False
        )
        for pid in pids.stdout.split():
            _kill(int(pid))
    _batch([f"netns delete {name}" for name in names])


def _build(site: Site) -> None:
    hosts = range(site.nodes + 1)
    _batch([f"netns add {name}" for name in (site.switch, *(site.namespace(host) for host in hosts))])
    _batch(["link add br0 type bridge mcast_snooping 0", "link set br0 up"], site.switch)
    _batch([f"link add p{host} type veth peer name eth0 netns {site.namespace(host)}" for host in hosts], site.switch)
    _batch([line for host in hosts for line in (f"link set p{host} master br0", f"link set p{host} up")], site.switch)
    for host in hosts:
        lines = ["link set lo up", f"addr add {site.address(host)}/16 brd + dev eth0", "link set eth0 up"]
        # What Debian's kernels use; this host may have another as its own.
        lines.append(f"route replace {NETWORK}.0.0/16 dev eth0 congctl cubic")
        _batch([*lines, "route add 224.0.0.0/4 dev eth0"], site.namespace(host))
        site.shape(host, site.mbits)
    _start_sshds(site, hosts[1:])


def _start_sshds(site: Site, hosts: Sequence[int]) -> None:
    keys = {name: site.directory / name for name in ("host_key", "client_key")}
    for path in keys.values():
        if not path.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=30)
    settings = site.directory / "sshd_config"
    settings.write_text(
        f"Port 22\nHostKey {keys['host_key']}\nPidFile none\nUsePAM no\nUseDNS no\n"
        f"AuthorizedKeysFile {keys['client_key']}.pub\nStrictModes no\nPermitRootLogin prohibit-password\n"
        f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nSetEnv HOME={site.directory} SHLVL=2\n"
        "MaxStartups 100:30:200\nKexAlgorithms curve25519-sha256\nLogLevel ERROR\n"
    )
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for host in hosts:
        site.start(host, SSHD, "-D", "-e", "-f", str(settings))
    for host in hosts:
        _wait_for_listener(site, host, 22)


def _wait_for_listener(site: Site, host: int, port: int) -> None:
    deadline = time.monotonic() + _BOUND
    while time.monotonic() < deadline:
        listening = subprocess.run(
            ["ip", "netns", "exec", site.namespace(host), "ss", "-Hltn", f"sport = :{port}"],
            capture_output=True,
            check=True,
            timeout=_BOUND,
        )
        if listening.stdout.strip():
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port} of host {host}")


def wait_for_listener(site: Site, host: int, port: int) -> None:
    """Waits until a program on a host listens. Raises TimeoutError."""
    _wait_for_listener(site, host, port)


def _batch(lines: Sequence[str], namespace: str = "") -> None:
    argv = ["ip", *(["-n", namespace] if namespace else []), "-batch", "-"]
    subprocess.run(argv, input="\n".join(lines), text=True, check=True, timeout=_BOUND)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, timeout=_BOUND, stdin=subprocess.DEVNULL)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return
