"""How long one command on 300 machines takes, beside clush and TakTuk: `python -m tests.bench.fanout`, as root.

The machines are 300 addresses of the loopback network, all served by one sshd of this host, so that what is compared is
the client: all log in with the same key, prove the same host key and use the same key exchange. First contact is a
login and a command; on open connections it is the command alone, which the other two do not have. At last one more
machine is added that takes the connection and never says a word: it must delay nothing but its own result.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from kadeploy_deployer.adapters.remote_shell_ssh import SshRemoteShell
from kadeploy_deployer.ports import ShellHost

MACHINES = 300
COMMAND = ("true",)
BOUND = 180.0
FAN_OUTS = (64, MACHINES)
"""clush's own default, and all at once; the better one counts."""
TARGETS = {"first_contact": 1.4, "open_connections": 8.0}
RESULT = Path(__file__).parents[2] / "build" / "bench" / "fanout.json"
SSHD = "/usr/sbin/sshd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Seconds; the ratios are those of clush over ours. `load`: of the machine, before it began."""

    machines: int
    key_exchange: str
    first_contact: float
    open_connections: float
    with_a_silent_machine: float
    clush: float
    clush_fan_out: int
    taktuk: float
    first_contact_ratio: float
    open_connections_ratio: float
    load: float
    processors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An sshd, and how to reach it. `client_settings`: of OpenSSH's client."""

    port: int
    private_key: Path
    host_key: str
    client_settings: Path

    def machines(self) -> list[ShellHost]:
        """Returns the machines."""
        return [
            ShellHost(name=address, address=address, port=self.port, host_keys=(self.host_key,))
            for address in addresses()
        ]


def addresses() -> list[str]:
    """Returns an address for each machine."""
    return [f"127.10.{number // 250}.{number % 250 + 1}" for number in range(MACHINES)]


@contextmanager
def running_sshd(directory: Path) -> Iterator[Site]:
    """Runs an sshd for the machines; it lets nobody in but this host with a key that nobody else has."""
    keys = {name: directory / name for name in ("host_key", "client_key")}
    for path in keys.values():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=30)
    port = _free_port()
    settings = directory / "sshd_config"
    settings.write_text(
        f"ListenAddress 0.0.0.0\nPort {port}\nHostKey {keys['host_key']}\nPidFile none\nUsePAM no\nUseDNS no\n"
        f"AuthorizedKeysFile {keys['client_key']}.pub\nStrictModes no\nPermitRootLogin prohibit-password\n"
        f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nAllowUsers root@127.*\n"
        # What root's shell does when it starts is this host's business, and no part of the measurement.
        f"SetEnv HOME={directory} SHLVL=2\nMaxStartups 1000:30:2000\nKexAlgorithms curve25519-sha256\nLogLevel ERROR\n"
    )
    host_key = " ".join(Path(f"{keys['host_key']}.pub").read_text().split()[:2])
    known_hosts = directory / "known_hosts"
    known_hosts.write_text(f"[127.*.*.*]:{port} {host_key}\n")
    client_settings = directory / "ssh_config"
    client_settings.write_text(
        f"Host *\n  Port {port}\n  User root\n  IdentityFile {keys['client_key']}\n  IdentitiesOnly yes\n"
        f"  BatchMode yes\n  StrictHostKeyChecking yes\n  UserKnownHostsFile {known_hosts}\n"
        f"  KexAlgorithms curve25519-sha256\n  LogLevel ERROR\n  ConnectTimeout 60\n"
    )
    # Where sshd goes while it reads what a stranger says; Debian makes it when the service starts.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(settings)])
    try:
        _wait_for(port)
        yield Site(port=port, private_key=keys["client_key"], host_key=host_key, client_settings=client_settings)
    finally:
        server.terminate()
        server.wait(30)


async def ours(site: Site) -> tuple[float, float, float]:
    """Returns the seconds of a first contact, of a second command, and of a third with a silent machine among them."""
    shell = SshRemoteShell(site.private_key)
    machines = site.machines()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lost = ShellHost(name="silent", address="127.0.0.1", port=silent.getsockname()[1], host_keys=(site.host_key,))
        try:
            first = await _run(shell, machines)
            second = await _run(shell, machines)
            waiting = asyncio.create_task(shell.run(lost, COMMAND, timeout=BOUND))
            await asyncio.sleep(0)
            third = await _run(shell, machines)
            # It is waited for still, and held nobody up.
            assert not waiting.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        finally:
            await shell.close()
    return first, second, third


async def _run(shell: SshRemoteShell, machines: Sequence[ShellHost]) -> float:
    start = time.monotonic()
    results = await asyncio.gather(*(shell.run(machine, COMMAND, timeout=BOUND) for machine in machines))
    assert {result.exit_status for result in results} == {0}
    return time.monotonic() - start


def clush(site: Site, fan_out: int) -> float:
    """Returns how long clush takes."""
    program = Path(sys.executable).parent / "clush"
    options = ["-q", "-S", "-f", str(fan_out), "-o", f"-F {site.client_settings}", "-w", ",".join(addresses())]
    return _timed([str(program), *options, *COMMAND])


def taktuk(site: Site, directory: Path) -> float:
    """Returns how long TakTuk takes."""
    hosts = directory / "hosts"
    hosts.write_text("".join(f"{address}\n" for address in addresses()))
    connector = f"ssh -F {site.client_settings}"
    # Without a word from the machines but their errors.
    quiet = ["-o", "status", "-o", "output", "-o", "connector"]
    return _timed(["taktuk", "-c", connector, *quiet, "-f", str(hosts), "broadcast", "exec", "[", *COMMAND, "]"])


def _timed(argv: Sequence[str]) -> float:
    start = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, timeout=BOUND, stdin=subprocess.DEVNULL, check=False)
    took = time.monotonic() - start
    if done.returncode or done.stderr.strip():
        sys.exit(f"{Path(argv[0]).name} ended with status {done.returncode}: {done.stderr.strip()[-300:]}")
    return took


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit("the sshd of the benchmark does not listen")


def measure() -> Figures:
    """Measures everything."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, running_sshd(Path(name)) as site:
        first, second, third = asyncio.run(ours(site))
        theirs = {fan_out: clush(site, fan_out) for fan_out in FAN_OUTS}
        fan_out = min(theirs, key=lambda each: theirs[each])
        tree = taktuk(site, Path(name))
    return Figures(
        machines=MACHINES,
        key_exchange="curve25519-sha256",
        first_contact=round(first, 2),
        open_connections=round(second, 2),
        with_a_silent_machine=round(third, 2),
        clush=round(theirs[fan_out], 2),
        clush_fan_out=fan_out,
        taktuk=round(tree, 2),
        first_contact_ratio=round(theirs[fan_out] / first, 2),
        open_connections_ratio=round(theirs[fan_out] / second, 2),
        load=round(load, 2),
        processors=os.cpu_count() or 1,
    )


def main() -> None:
    """Measures, prints the table and writes the figures. Exit status 1: a target was missed."""
    for program in (SSHD, "taktuk"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not there: run `lab/setup-host tests/bench/packages.txt`")
    if os.geteuid() != 0:
        sys.exit("the machines are logged in to as root: run it as root, `make bench-fanout` does")
    found = measure()
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="ascii")
    sys.stdout.writelines(f"{key:24} {value}\n" for key, value in asdict(found).items())
    ratios = {"first_contact": found.first_contact_ratio, "open_connections": found.open_connections_ratio}
    missed = [f"{name}: {ratios[name]} instead of {least}" for name, least in TARGETS.items() if ratios[name] < least]
    if missed:
        sys.exit(f"slower than it should be beside clush: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
