"""A private Slurm for tests: munged, slurmctld and a slurmd per node, on loopback, without root.

All slurmd run on this host, as docs/batch-schedulers.md recommends for nodes that are deployed. The site's scripts are
files in its directory, which a test writes; each end of one leaves a line in a trace.
"""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

PREFIX = "kadeploy-test-slurm-"
PROGRAMS = ("munged", "slurmctld", "slurmd", "setpriv", "sbatch", "salloc", "scancel", "scontrol", "sinfo", "squeue")
SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
NODES = ("node-1", "node-2")
SCRIPTS = ("prolog", "epilog")
STARTS = 3
START_SECONDS = 60
STOP_SECONDS = 10
# For what a job goes through: the commands of prolog and epilog are programs that start anew each time.
WAIT_SECONDS = 90
# Below the ports that the kernel hands out by itself.
PORTS = range(20000, 30000)
MUNGE_KEY_BYTES = 128

CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={controller_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={home}/state
SlurmctldPidFile={home}/slurmctld.pid
SlurmdSpoolDir={home}/spool.%n
SlurmdPidFile={home}/slurmd.%n.pid
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/linear
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
ReturnToService=2
KillWait=2
PrologSlurmctld={home}/prolog
EpilogSlurmctld={home}/epilog
CompleteWait=120
PartitionName=deploy Nodes={nodes} OverSubscribe=EXCLUSIVE Default=YES
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slurm:
    """A cluster of two nodes, node-1 and node-2, in the partition "deploy"."""

    home: Path
    user: str

    @property
    def configuration(self) -> Path:
        """What SLURM_CONF names."""
        return self.home / "slurm.conf"

    def run(self, *command: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Runs one of Slurm's commands."""
        return subprocess.run(
            command,
            env={**os.environ, "PATH": SEARCH_PATH, "SLURM_CONF": str(self.configuration)},
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
            cwd=self.home,
        )

    def submit(self, script: str, *options: str) -> str:
        """Submits a batch job of ten minutes at most and returns its number."""
        done = self.run(
            "sbatch", "--parsable", "--time=10", f"--output={self.home}/job.%j", *options, stdin=f"#!/bin/sh\n{script}"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def use_scripts(self, examples: Mapping[str, Path], variables: Mapping[str, str]) -> None:
        """Names the scripts of the site, "prolog" and "epilog", with their variables; the trace begins anew."""
        assert set(examples) == set(SCRIPTS)
        self._trace.write_text("")
        settings = "".join(f"export {name}={quote(value)}\n" for name, value in variables.items())
        for name, example in examples.items():
            write_script(
                self.home / name,
                f"{settings}{quote(str(example))} >>{self.home}/{name}.log 2>&1\nstatus=$?\n"
                f'echo "{name} $SLURM_JOB_ID $status" >>{self._trace}\nexit $status',
            )

    @property
    def trace(self) -> list[str]:
        """Each script that has ended, in order: "prolog JOB STATUS"."""
        return self._trace.read_text().splitlines()

    def wait_for(self, what: str, happened: Callable[[], bool]) -> None:
        """Waits until something has happened, or fails with what the daemons and scripts say."""
        if not until(happened, WAIT_SECONDS):
            raise AssertionError(f"{what}: not within {WAIT_SECONDS} s\n{self.scenario()}")

    def end_jobs(self) -> None:
        """Cancels all jobs and waits until they are gone."""
        self.run("scancel", f"--user={self.user}")
        self.wait_for("the end of all jobs", lambda: self.run("squeue", "--noheader").stdout == "")

    def scenario(self) -> str:
        """What the daemons, scripts and jobs have said last."""
        files = [file for pattern in ("*.log", "job.*") for file in sorted(self.home.glob(pattern))]
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-2000:]}" for file in files)

    @property
    def _trace(self) -> Path:
        return self.home / "trace"


def write_script(path: Path, text: str) -> None:
    """Writes a shell script in one piece: never found half written, never busy."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(f"#!/bin/sh\n{text}\n")
    draft.chmod(0o755)
    draft.rename(path)


@contextmanager
def running_slurm() -> Iterator[Slurm]:
    """Yields a cluster, and ends it, whatever happens. Its files go with it, or with the next run after a kill."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=SEARCH_PATH) is None]
    if lacking:
        raise RuntimeError(f"{', '.join(lacking)} not found: install what lab/packages.txt names for Slurm")
    place = Path(tempfile.gettempdir())
    _sweep(place)
    home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
    try:
        slurm = _prepared(home)
        for _ in range(STARTS):
            with _daemons(slurm) as started:
                if started:
                    yield slurm
                    slurm.end_jobs()
                    return
        raise RuntimeError(f"Slurm does not start\n{slurm.scenario()}")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _prepared(home: Path) -> Slurm:
    slurm = Slurm(home=home, user=pwd.getpwuid(os.geteuid()).pw_name)
    key = home / "munge.key"
    key.write_bytes(os.urandom(MUNGE_KEY_BYTES))
    key.chmod(0o600)
    for name in ("state", *(f"spool.{node}" for node in NODES)):
        (home / name).mkdir()
    slurm.use_scripts({name: Path("/bin/true") for name in SCRIPTS}, {})
    return slurm


@contextmanager
def _daemons(slurm: Slurm) -> Iterator[bool]:
    """Starts the daemons, yields whether all of them work, and ends them."""
    home = slurm.home
    ports = _free_ports(1 + len(NODES))
    lines = CONFIGURATION.format(home=home, user=slurm.user, controller_port=ports[0], nodes=",".join(NODES))
    lines += "".join(
        f"NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=1\n"
        for node, port in zip(NODES, ports[1:], strict=True)
    )
    slurm.configuration.write_text(lines)
    # --force: a private directory is one that others cannot reach, of which munged would complain.
    munge = ["munged", "--foreground", "--force", f"--key-file={home}/munge.key", f"--socket={home}/munge.socket"]
    munge += [f"--pid-file={home}/munge.pid", f"--seed-file={home}/munge.seed"]
    configuration = str(slurm.configuration)
    with ExitStack() as stack:
        processes = [stack.enter_context(daemon(munge, home))]
        if not until((home / "munge.socket").exists, START_SECONDS):
            yield False
            return
        processes.append(stack.enter_context(daemon(["slurmctld", "-D", "-f", configuration], home)))
        processes += [
            stack.enter_context(daemon(["slurmd", "-D", "-N", node, "-f", configuration], home)) for node in NODES
        ]
        yield _work(slurm, ports[0], processes)


def _work(slurm: Slurm, port: int, processes: Sequence["subprocess.Popen[bytes]"]) -> bool:
    """Waits until the nodes can be used; False when that does not come, or a daemon has ended."""

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def idle() -> bool:
        return slurm.run("sinfo", "--noheader", "--Node", "--format=%T").stdout.split() == ["idle"] * len(NODES)

    def ended() -> bool:
        return any(process.poll() is not None for process in processes)

    # Asked without an answer at the port, Slurm's commands try for nine seconds.
    return until(lambda: ended() or (answers() and idle()), START_SECONDS) and not ended()


@contextmanager
def daemon(command: Sequence[str], home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a daemon, which ends with the tests even when they are killed."""
    with (home / f"{command[0]}.log").open("ab") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", *command],
            cwd=home,
            env={**os.environ, "PATH": SEARCH_PATH},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(happened: Callable[[], bool], seconds: float) -> bool:
    """Waits until something has happened; False when it has not after so many seconds."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _free_ports(count: int) -> list[int]:
    """Returns ports at which nobody listens; somebody may be faster, then the daemons are started again."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports between {PORTS.start} and {PORTS.stop}")


def _sweep(place: Path) -> None:
    """Removes what killed runs have left."""
    for left in place.glob(f"{PREFIX}*"):
        process = left.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", process).exists():
            _end_steps(left)
            shutil.rmtree(left, ignore_errors=True)


def _end_steps(home: Path) -> None:
    """Ends what watched the jobs of a killed run: it waits for daemons that are no more."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(home):
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue  # gone in the meantime, or somebody else's
