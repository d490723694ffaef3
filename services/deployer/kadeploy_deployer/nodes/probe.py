"""What runs on a node, as the node itself tells it: kernel arguments, boot id, root file system, marker file."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.ports import RemoteShell, ShellHost

COMMAND_LINE = "/proc/cmdline"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
MOUNTS = "/proc/self/mountinfo"
MARKER = "/etc/kadeploy-deployment"
"""Written into the new system: which deployment made it."""
PROOF = "proof"
"""In the marker: a secret of the deployment and the node, which stands nowhere else."""
DISTRUSTED = "destructive"
"""Stands in the marker of a system from which nothing is deployed."""
TOKEN_ARGUMENT = "kadeploy.token"  # noqa: S105 - the name of an argument
NODE_ARGUMENT = "kadeploy.node"
"""Tells the deployment environment, and nothing else that boots, which node it is."""


PARTITION, PARTITION_NUMBER = "kadeploy-partition", "kadeploy-partition-number"
# The files, and then the partition with a UUID: by udev's link, or else by what blkid of util-linux finds.
_LOOK = """
uuid=$1; shift
grep -sH "" "$@"
found=$(readlink -f "/dev/disk/by-partuuid/$uuid")
for program in /usr/sbin/blkid /sbin/blkid; do
  [ -b "$found" ] || found=$("$program" -t "PARTUUID=$uuid" -o device 2>/dev/null | head -n 1)
done
[ -b "$found" ] || exit 0
found=$(readlink -f "$found")
number=$(cat "/sys/class/block/${found##*/}/dev") || exit 0
printf 'kadeploy-partition:%s\\nkadeploy-partition-number:%s\\n' "$found" "$number"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running system.

    `root_number`: "254:3", the device number of the root file system; `root_source`: the device as the mount names it;
    `device`: the partition that was asked for, "vda3"; `device_number`: its number, empty when it is not there;
    `partition`: the device file with the partition UUID that was asked for, "/dev/sdb3", and `partition_number`, both
    empty where the system cannot say;
    `marker`: key to value.
    """

    command_line: str
    boot_id: str
    root_number: str = ""
    root_source: str = ""
    device: str = ""
    device_number: str = ""
    partition: str = ""
    partition_number: str = ""
    marker: Mapping[str, str] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """The token that it was booted with."""
        return argument(self.command_line, TOKEN_ARGUMENT)

    @property
    def root_is_device(self) -> bool:
        """Whether the root file system lies on the partition that was asked for; /dev/root is seen through.

        The partition's UUID says so where it is known: the kernel may call the partition something else by now.
        """
        if self.partition:
            if self.root_number.startswith("0:"):
                return self.root_source == self.partition
            return self.root_number == self.partition_number
        if self.root_number.startswith("0:"):
            # Some file systems (btrfs) have numbers of their own; then the name has to do.
            return self.root_source == f"/dev/{self.device}"
        return bool(self.device_number) and self.root_number == self.device_number


def argument(command_line: str, name: str) -> str:
    """Returns the value of a kernel argument, the last one when it stands there twice, empty when it does not."""
    values = [word.removeprefix(f"{name}=") for word in command_line.split() if word.startswith(f"{name}=")]
    return values[-1] if values else ""


async def look(
    shell: RemoteShell, host: ShellHost, *, device: str, timeout: float, partition_uuid: str = ""
) -> Running:
    """Asks a node what it runs.

    Args:
        shell: to log in with.
        host: the node.
        device: the partition to compare the root with, "vda3".
        timeout: in seconds.
        partition_uuid: of that partition; empty where nobody knows it.

    Raises:
        NodeUnreachable: nobody answers, or somebody else.
        CommandTimedOut: no answer in time.
        NodeFailed: an answer that makes no sense.
    """
    result = await shell.run(host, question(device, partition_uuid), timeout=timeout)
    running = parse(result.stdout, device)
    if not running.boot_id:
        raise NodeFailed(f"{host.name} answers, but does not say what it runs: {result.stderr.strip()[-200:]}")
    return running


def question(device: str, partition_uuid: str = "") -> tuple[str, ...]:
    """Returns the command whose output `parse` reads. Nothing secret stands in it."""
    # Every line comes with the file's name before it; files that are not there are passed over.
    files = (COMMAND_LINE, BOOT_ID, MOUNTS, MARKER, _number_file(device))
    if partition_uuid:
        return ("sh", "-c", _LOOK, "look", partition_uuid, *files)
    return ("grep", "-sH", "", *files)


def parse(text: str, device: str) -> Running:
    """Returns what the files say."""
    content: dict[str, list[str]] = {}
    for line in text.splitlines():
        path, _, rest = line.partition(":")
        content.setdefault(path, []).append(rest)
    root_number, root_source = _root(content.get(MOUNTS, []))
    pairs = (line.partition("=") for line in content.get(MARKER, []))
    return Running(
        command_line=_first(content, COMMAND_LINE),
        boot_id=_first(content, BOOT_ID),
        root_number=root_number,
        root_source=root_source,
        device=device,
        device_number=_first(content, _number_file(device)),
        partition=_first(content, PARTITION),
        partition_number=_first(content, PARTITION_NUMBER),
        marker={key.strip(): value.strip() for key, _, value in pairs},
    )


def _number_file(device: str) -> str:
    return f"/sys/class/block/{device.replace('/', '!')}/dev"


def _first(content: Mapping[str, list[str]], path: str) -> str:
    lines = content.get(path, [])
    return lines[0].strip() if lines else ""


def _root(lines: list[str]) -> tuple[str, str]:
    """Returns number and source of what is mounted on "/": the last such mount hides the others."""
    found = ("", "")
    for line in lines:
        before, _, after = line.partition(" - ")
        words, source = before.split(), after.split()
        if len(words) > 4 and words[4] == "/" and len(source) > 1:  # noqa: PLR2004 - fields of proc(5)
            found = (words[2], source[1])
    return found
