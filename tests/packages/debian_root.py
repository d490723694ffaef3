"""A fresh Debian, entered by chroot in namespaces of its own: no network, and nothing outlives it.

The Debian is built once, into the cache. Each test has an overlay of it in memory, which the namespaces hold: when they
end, its files are gone with its processes.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / "build" / "cache" / "packages"
BOOKWORM, TRIXIE = "bookworm", "trixie"
# Besides a minimal Debian: what the packages depend on and what docs/install.md has an administrator install, so that
# no test needs the network.
NEEDED = (
    "python3", "systemd", "adduser", "bzip2", "iproute2", "kmod", "man-db", "mmdebstrap", "procps", "xz-utils", "zstd",
)  # fmt: skip
PACKAGES = {
    BOOKWORM: (
        *NEEDED, "mariadb-server", "openssh-client", "sqlite3", "tftpd-hpa", "pxelinux", "syslinux-common",
        "grub-common", "grub-pc-bin", "grub-efi-amd64-bin",
    ),
    TRIXIE: NEEDED,
}  # fmt: skip
BUILD_SECONDS = 1200.0
START_SECONDS = 30.0
COMMAND_SECONDS = 300.0
# TREE DIRECTORY ADDRESSES: mounts the overlay and what programs expect, brings the loopback up and waits.
ENTER = """
set -e
mount --make-rprivate /
mount -t tmpfs -o size=3g tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
cd "$2/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs run
ip link set lo up
for address in $3; do ip address add "$address/32" dev lo; done
touch run/entered
exec sleep infinity
"""


class CommandError(Exception):
    """A command in the root failed; the message has its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianRoot:
    """A Debian that commands can be run in.

    Attributes:
        inside: its root directory, as it is called in the namespaces.
        pid: the first process of the namespaces.
    """

    inside: Path
    pid: int

    @property
    def path(self) -> Path:
        """Its root directory, seen from this host."""
        return Path(f"/proc/{self.pid}/root{self.inside}")

    def run(self, script: str, *, timeout: float = COMMAND_SECONDS) -> str:
        """Returns what a script of bash prints, run as root in /root; raises CommandError when it fails."""
        argv = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--ipc", "--uts", "--"]
        argv += ["chroot", str(self.inside), "env", "-i", "-C", "/root", "HOME=/root", "LC_ALL=C.UTF-8"]
        argv += ["PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"]
        done = subprocess.run(
            [*argv, "bash", "-euo", "pipefail", "-s"],
            input=script, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            words = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
            raise CommandError(f"status {done.returncode} of\n{script}\n{words}")
        return done.stdout

    def files(self) -> dict[str, int]:
        """Returns every file with its mode, but for what dpkg, apt and programs in general note of their work."""
        passing = ("proc", "dev", "run", "sys", "tmp", "root", "var/lib/dpkg", "var/lib/apt", "var/cache", "var/log")
        found: dict[str, int] = {}
        for folder, directories, names in os.walk(self.path):
            inside = Path(folder).relative_to(self.path)
            directories[:] = [name for name in directories if str(inside / name) not in passing]
            for name in (*directories, *names):
                found[str(inside / name)] = (Path(folder) / name).lstat().st_mode
        return found


@contextmanager
def debian_root(directory: Path, *, suite: str = BOOKWORM, addresses: Sequence[str] = ()) -> Iterator[DebianRoot]:
    """Yields a fresh Debian; ends its processes, and with them its files.

    Args:
        directory: where it is mounted, in its namespaces alone; made here.
        suite: of Debian.
        addresses: of its loopback interface, besides 127.0.0.1.
    """
    tree = debian_tree(suite)
    with ExitStack() as stack:
        directory.mkdir(parents=True)
        stack.callback(directory.rmdir)
        # The kernel ends the namespaces, with all in them, when this process ends, however it ends.
        holder = subprocess.Popen(
            [
                "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork",
                "--kill-child", "--", "sh", "-c", ENTER, "enter", tree, directory, " ".join(addresses),
            ],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(_end, holder)
        root = DebianRoot(inside=directory / "root", pid=_first_child(holder))
        _wait_until_entered(root, holder)
        yield root


def debian_tree(suite: str) -> Path:
    """Returns the directory of a fresh Debian; built when not there, which needs the network."""
    digest = hashlib.sha256(" ".join((suite, *PACKAGES[suite])).encode()).hexdigest()[:12]
    tree = CACHE / f"root-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            building = tree.with_suffix(".new")
            if building.exists():
                shutil.rmtree(building)
            command = [
                "mmdebstrap",
                "--quiet",
                "--mode=root",
                "--variant=minbase",
                f"--include={','.join(PACKAGES[suite])}",
            ]
            subprocess.run([*command, suite, building], check=True, timeout=BUILD_SECONDS)
            building.rename(tree)
    return tree


def _first_child(process: "subprocess.Popen[bytes]") -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.02)
    raise CommandError(f"the namespaces could not be made: unshare ended with status {process.poll()}")


def _wait_until_entered(root: DebianRoot, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if (root.path / "run" / "entered").exists():
            return
        time.sleep(0.02)
    raise CommandError(f"the root could not be entered: status {process.poll()}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait(START_SECONDS)
