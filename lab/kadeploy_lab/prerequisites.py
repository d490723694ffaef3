"""What a host must have before a lab can be brought up: rights, programs, devices, space, memory."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from kadeploy_lab.commands import SEARCH_PATH
from kadeploy_lab.errors import LabError
from kadeploy_lab.machine import UEFI_CODE, UEFI_VARIABLES

# Program -> the Debian package that has it.
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "dnsmasq": "dnsmasq-base",
    "in.tftpd": "tftpd-hpa",
    "ipmitool": "ipmitool",
    "ip": "iproute2",
    "ss": "iproute2",
    "setsid": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
}
# Files that nothing calls by name, but without which a machine does not boot over the network.
FIRMWARE = {
    ("/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/bios-256k.bin"): "seabios",
    (
        "/usr/lib/ipxe/qemu/efi-virtio.rom",
        "/usr/share/qemu/efi-virtio.rom",
        "/usr/share/qemu/pxe-virtio.rom",
    ): "ipxe-qemu",
}

_MIB = 1024 * 1024
_DISK_MIB_PER_NODE = 1024  # sparse images: what a deployed node really writes
_HOST_MIB_PER_NODE = 128  # QEMU itself and the BMC, above the guest's memory


def check_tools() -> None:
    """Raises one sentence about the first thing without which no lab can be made here."""
    check_root()
    check_programs()
    check_tun(Path("/dev/net/tun"))


def check_room(directory: Path, *, node_count: int, memory_mib: int) -> None:
    """Raises one sentence when this lab is too large for the host as it is now."""
    check_space(directory, needed_mib=node_count * _DISK_MIB_PER_NODE)
    check_memory(Path("/proc/meminfo"), needed_mib=node_count * (memory_mib + _HOST_MIB_PER_NODE))


def check_root() -> None:
    """Network namespaces, taps and port 69 need root."""
    if os.geteuid() != 0:
        raise LabError("The lab needs root (network namespaces, taps): run it again with sudo.")


def check_programs(search_path: str = SEARCH_PATH) -> None:
    """Every program and firmware file must be installed."""
    lacking = {package for program, package in PROGRAMS.items() if shutil.which(program, path=search_path) is None} | {
        package for files, package in FIRMWARE.items() if not any(Path(file).exists() for file in files)
    }
    if lacking:
        raise LabError(f"The lab needs the Debian packages {_and(sorted(lacking))}: run lab/setup-host.")


def check_uefi() -> None:
    """A machine with UEFI needs its firmware as files."""
    if not (UEFI_CODE.exists() and UEFI_VARIABLES.exists()):
        raise LabError("Machines with UEFI need the Debian package ovmf: run lab/setup-host.")


def check_tun(device: Path) -> None:
    """The taps come out of /dev/net/tun, which a container may not have."""
    if not device.is_char_device():
        raise LabError(
            f"{device} is missing, and with it the nodes' network: run `modprobe tun`, "
            f"or give your container the device (`--device {device}`)."
        )


def check_space(directory: Path, *, needed_mib: int) -> None:
    """The nodes' disks are sparse, but what is written must go somewhere."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    free_mib = shutil.disk_usage(existing).free // _MIB
    if free_mib < needed_mib:
        raise LabError(
            f"The nodes' disks need about {needed_mib} MiB, but {existing} has {free_mib} MiB "
            "free: make room or take fewer nodes."
        )


def check_memory(meminfo: Path, *, needed_mib: int) -> None:
    """A host that swaps makes machines that never come."""
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    free_mib = int(fields["MemAvailable"].split()[0]) // 1024
    if free_mib < needed_mib:
        raise LabError(
            f"The nodes need {needed_mib} MiB of memory, but only {free_mib} MiB are available: "
            "take fewer nodes or give them less memory."
        )


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
