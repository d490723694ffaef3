"""What is mounted and swapped on in the deployment environment, and how to let go of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kadeploy_deployer.domain.snapshot import partition_name
from kadeploy_deployer.steps.deployment_shell import command
from kadeploy_deployer.steps.step import StepContext

DESTINATION = "/mnt/dest"
"""Where the target partition is mounted."""
UNMOUNT_SECONDS = 120.0

_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of /proc/mounts."""

    device: str
    point: str


def parse_mounts(text: str) -> list[Mount]:
    """Returns the lines of /proc/mounts in their order: what was mounted later stands later."""
    lines = [line.split() for line in text.splitlines()]
    return [Mount(device=_plain(words[0]), point=_plain(words[1])) for words in lines if len(words) > 1]


def parse_swaps(text: str) -> list[str]:
    """Returns the devices of /proc/swaps."""
    return [_plain(line.split()[0]) for line in text.splitlines()[1:] if line.strip()]


def is_on_disk(device: str, disk: str) -> bool:
    """Returns whether a device file is the given disk or one of its partitions; both with "/dev/"."""
    infix = partition_name(disk.removeprefix("/dev/"), 0)[len(disk.removeprefix("/dev/")) : -1]
    return re.fullmatch(rf"{re.escape(disk)}({infix}\d+)?", device) is not None


def target_device(context: StepContext, node: str) -> str:
    """Returns the device file that the image is for: the target partition, or its disk where the request says so."""
    machine = context.nodes[node]
    return machine.disk_device if context.spec.whole_disk else machine.target_device


async def mounts(context: StepContext, node: str) -> list[Mount]:
    """Returns what is mounted on a node. Raises NodeFailed or ShellError."""
    return parse_mounts(await command(context, node, ("cat", "/proc/mounts"), what="reading /proc/mounts"))


async def let_go(context: StepContext, node: str, devices: Iterable[str]) -> None:
    """Unmounts all that is mounted from the given disks or partitions or below DESTINATION, and stops swapping there.

    Raises:
        NodeFailed: something is in use.
        ShellError: there is no answer.
    """
    wanted = tuple(devices)
    swaps = parse_swaps(await command(context, node, ("cat", "/proc/swaps"), what="reading /proc/swaps"))
    for device in swaps:
        if any(is_on_disk(device, disk) for disk in wanted):
            await command(context, node, ("swapoff", device), what=f"swapoff of {device}", timeout=UNMOUNT_SECONDS)
    for mount in reversed(await mounts(context, node)):
        below = f"{mount.point}/".startswith(f"{DESTINATION}/")
        if below or any(is_on_disk(mount.device, disk) for disk in wanted):
            arguments = ("umount", mount.point)
            await command(context, node, arguments, what=f"unmounting {mount.point}", timeout=UNMOUNT_SECONDS)


def _plain(word: str) -> str:
    """Undoes the octal escapes of the kernel, which writes a blank as backslash 040."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), word)
