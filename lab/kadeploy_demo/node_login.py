"""What a node says of itself, read over ssh with Debian's own client.

The host key must be one that the deployment told: it read it from the target before the node rebooted.
"""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kadeploy_demo.errors import DemoError

LOGIN_SECONDS = 90.0

# Constant text for the node's own shell. The marks cut the answer into parts.
QUESTIONS = """
echo '@boot_id'; cat /proc/sys/kernel/random/boot_id
echo '@kernel_command_line'; cat /proc/cmdline
echo '@host_name'; cat /proc/sys/kernel/hostname
echo '@os_release'; cat /etc/os-release
echo '@kernel'; cat /proc/sys/kernel/osrelease
echo '@mounts'; cat /proc/self/mountinfo
echo '@block_devices'; grep '' /sys/class/block/*/dev
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAnswer:
    """What a running node says of itself."""

    boot_id: str
    kernel_command_line: str
    root_device: str
    host_name: str
    system: str
    kernel: str


def _parts(text: str) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("@"):
            lines = parts.setdefault(line[1:], [])
        else:
            lines.append(line)
    return parts


def _root_device(mounts: list[str], block_devices: list[str]) -> str:
    """Returns "/dev/vda3" for the device mounted on "/", by its number: names such as /dev/root tell nothing."""
    # mountinfo: id parent major:minor root mount-point …; the last one on "/" is what is seen.
    numbers = [words[2] for words in (line.split() for line in mounts) if words[4:5] == ["/"]]
    names = {}
    for line in block_devices:  # /sys/class/block/vda3/dev:254:3
        path, _, number = line.partition(":")
        names[number] = Path(path).parent.name
    name = names.get(numbers[-1]) if numbers else None
    return f"/dev/{name}" if name else ""


def parse_answer(text: str) -> NodeAnswer:
    """Returns what the answers to QUESTIONS say."""
    parts = _parts(text)
    release = dict(line.split("=", 1) for line in parts.get("os_release", []) if "=" in line)

    def first(name: str) -> str:
        return next(iter(parts.get(name, [])), "").strip()

    return NodeAnswer(
        boot_id=first("boot_id"),
        kernel_command_line=first("kernel_command_line"),
        root_device=_root_device(parts.get("mounts", []), parts.get("block_devices", [])),
        host_name=first("host_name"),
        system=release.get("PRETTY_NAME", "").strip('"'),
        kernel=first("kernel"),
    )


def ask_node(
    address: str,
    *,
    host_keys: Sequence[str],
    private_key: Path,
    known_hosts: Path,
    wrap: Callable[[Sequence[str]], list[str]],
) -> NodeAnswer:
    """Logs in as root and returns the answers.

    Args:
        address: the node's.
        host_keys: OpenSSH public keys, one of which the node must prove.
        private_key: opens the node.
        known_hosts: a file that is written for this login.
        wrap: runs the client where the node can be reached.

    Raises:
        DemoError: nobody answers there, it is not the node, or it answers nonsense.
    """
    if not host_keys:
        raise DemoError(f"{address}: the deployment tells no host key, so nobody can say whether this is the node")
    known_hosts.write_text("".join(f"{address} {' '.join(key.split()[:2])}\n" for key in host_keys))
    command = [
        *("ssh", "-F", "none", "-i", str(private_key), "-o", "BatchMode=yes"),
        *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known_hosts}"),
        # OpenSSH's default key exchange costs an emulated machine seconds.
        *("-o", "KexAlgorithms=curve25519-sha256", "-o", "ConnectTimeout=30"),
        *(f"root@{address}", "sh", "-s"),
    ]
    try:
        done = subprocess.run(
            wrap(command), input=QUESTIONS, capture_output=True, text=True, timeout=LOGIN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"{address}: no answer over ssh within {LOGIN_SECONDS:.0f} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise DemoError(f"{address}: ssh ended with status {done.returncode}: {last}")
    answer = parse_answer(done.stdout)
    if not (answer.boot_id and answer.root_device):
        raise DemoError(f"{address}: the node does not tell its boot id and its root device")
    return answer
