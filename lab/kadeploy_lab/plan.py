"""The plan of a lab: names, addresses and paths, all computed, nothing touched.

Every lab uses the same addresses, since each lives in a network namespace of its own; what tells two
labs apart is their name and a short hash of their directory.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kadeploy_lab.errors import LabError
from kadeploy_lab.hardware import Hardware

GATEWAY_IP = "172.31.0.1"
NETWORK = "172.31.0.0/24"
IPV6_GATEWAY = "fd31::1/64"
IPV6_PREFIX = "fd31::"
BRIDGE = "br0"
BRIDGE_MAC = "52:54:00:4b:ff:01"
BMC_USER = "admin"
MAX_NODES = 64
BIOS, UEFI = "bios", "uefi"
# The folders of the TFTP tree that DHCP can name, and the loaders there: of a BIOS, of UEFI.
LOADERS = "PXEClient"
LOADER_NAMES = {LOADERS: ("pxelinux.0", "grubx64.efi"), "X86PC/linux": ("linux.0", "grubx64.efi")}

# Unix socket paths end at 107 bytes, and a checkout can be deep: sockets and pid files live here.
RUN_ROOT = Path("/run/kadeploy-lab")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_FIRST_HOST = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class LabNode:
    """One machine of the lab and where to find it."""

    name: str
    mac: str
    ip: str
    bmc_address: str
    serial_log: Path
    serial_socket: Path
    disk: Path
    firmware: str = BIOS
    hardware: Hardware = field(default_factory=Hardware)
    tftp_server: str = GATEWAY_IP

    @property
    def uuid(self) -> str:
        """The machine's UUID, as its firmware tells it; one of those that pxelinux holds for a UUID."""
        return f"6b61646c-6162-4b61-8000-{self.mac.replace(':', '')}"

    @property
    def disks(self) -> tuple[Path, ...]:
        """All disks, the first one among them."""
        others = (self.disk.with_name(f"disk-{number}.img") for number in range(2, self.hardware.disks + 1))
        return (self.disk, *others)

    @property
    def variables(self) -> Path:
        """What the machine's UEFI firmware remembers; a machine with a BIOS has none."""
        return self.disk.with_name("variables.img")


def check_name(name: str) -> str:
    """Returns the name when it can name a lab, and says what a name looks like otherwise."""
    if not _NAME.fullmatch(name):
        raise LabError(f"'{name}' cannot name a lab: use up to 32 lower-case letters, digits and dashes.")
    return name


def identity(name: str, directory: Path) -> str:
    """What tells this lab from every other on the host: its name and a hash of its directory."""
    digest = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()
    return f"{name}-{digest[:6]}"


def namespace(name: str, directory: Path) -> str:
    """The network namespace of a lab."""
    return f"kalab-{identity(name, directory)}"


def run_directory(name: str, directory: Path) -> Path:
    """Where a lab keeps its sockets and pid files while it is up."""
    return RUN_ROOT / identity(name, directory)


def tap(index: int) -> str:
    """The host's end of the network cable of machine number `index` (from 1)."""
    return f"tap{index}"


def plan_nodes(
    name: str,
    directory: Path,
    count: int,
    *,
    firmware: Mapping[str, str] | None = None,
    hardware: Mapping[str, Hardware] | None = None,
    tftp_servers: Mapping[str, str] | None = None,
) -> tuple[LabNode, ...]:
    """The machines of a lab, node-1 first; those that are not named have a BIOS, the usual hardware, the lab's TFTP."""
    if not 1 <= count <= MAX_NODES:
        raise LabError(f"A lab has 1 to {MAX_NODES} nodes, not {count}.")
    runtime = run_directory(name, directory)
    nodes = tuple(_plan_node(index, directory, runtime) for index in range(1, count + 1))
    wanted = firmware or {}
    parts = hardware or {}
    servers = tftp_servers or {}
    for kind, described in (("firmware", wanted), ("hardware", parts), ("TFTP server", servers)):
        if strange := sorted(described.keys() - {node.name for node in nodes}):
            raise LabError(f"The lab has no node '{strange[0]}' that could have a {kind} of its own.")
    if unknown := sorted(set(wanted.values()) - {BIOS, UEFI}):
        raise LabError(f"'{unknown[0]}' is no firmware of the lab's machines: use bios or uefi.")
    return tuple(
        replace(
            node,
            firmware=wanted.get(node.name, BIOS),
            hardware=parts.get(node.name, node.hardware),
            tftp_server=servers.get(node.name, node.tftp_server),
        )
        for node in nodes
    )


def _plan_node(index: int, directory: Path, runtime: Path) -> LabNode:
    node = f"node-{index}"
    host = _FIRST_HOST + index - 1
    home = directory / "nodes" / node
    return LabNode(
        name=node,
        mac=f"52:54:00:4b:00:{index:02x}",
        ip=f"172.31.0.{host}",
        bmc_address=f"172.31.1.{host}",
        serial_log=home / "serial.log",
        serial_socket=runtime / f"{node}.serial",
        disk=home / "disk.img",
    )
