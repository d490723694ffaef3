"""Snapshots of nodes, environments and profiles for tests: plain and valid; each test changes what it is about."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kadeploy_deployer.domain.snapshot import (
    CommandSnapshot,
    DiskSnapshot,
    EnvironmentSnapshot,
    FileSnapshot,
    NodeSnapshot,
    PartitionSnapshot,
    ProfileSnapshot,
)
from kadeploy_deployer.domain.vocabulary import PartitionRole

MIB = 1024 * 1024
GIB = 1024 * MIB

DISK = DiskSnapshot(
    device="vda",
    size_bytes=4 * GIB,
    partitions=(
        PartitionSnapshot(number=1, size_bytes=256 * MIB, type_id=0x82, label="swap", role=PartitionRole.SWAP),
        PartitionSnapshot(number=2, size_bytes=512 * MIB, label="tmp", role=PartitionRole.TMP),
        PartitionSnapshot(number=3, size_bytes=2 * GIB, label="deploy", role=PartitionRole.DEPLOY),
    ),
)
COMMANDS = CommandSnapshot(
    hard_reboot=("ipmitool", "-H", "{bmc}", "chassis", "power", "reset"),
    power_on=("ipmitool", "-H", "{bmc}", "chassis", "power", "on"),
    power_off=("ipmitool", "-H", "{bmc}", "chassis", "power", "off"),
    power_status=("ipmitool", "-H", "{bmc}", "chassis", "power", "status"),
)


def a_node(name: str = "node-1", **changes: Any) -> NodeSnapshot:
    """Returns a node; the number at the end of its name makes its addresses."""
    number = int(name.rsplit("-", 1)[-1])
    node = NodeSnapshot(
        name=name,
        mac_address=f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}",
        ip_address=f"10.0.{number >> 8}.{number & 255}",
        cluster="default",
        device="vda",
        partition=3,
        disks=(DISK,),
        commands=COMMANDS,
    )
    return replace(node, **changes)


def nodes(*names: str) -> Mapping[str, NodeSnapshot]:
    """Returns nodes by name."""
    return {name: a_node(name) for name in names}


def an_environment(image: FileSnapshot | None = None, **changes: Any) -> EnvironmentSnapshot:
    """Returns a tar environment."""
    environment = EnvironmentSnapshot(
        name="debian",
        version=1,
        owner="alice",
        image=image or FileSnapshot(uri="file:///images/debian.tar.zst", digest=f"sha256:{'0' * 64}", size_bytes=1000),
        kernel_path="/vmlinuz",
        initrd_path="/initrd.img",
        kernel_arguments="console=ttyS0 rw",
        file_system="ext4",
    )
    return replace(environment, **changes)


def a_profile(**changes: Any) -> ProfileSnapshot:
    """Returns a profile with the defaults of the contract."""
    return replace(ProfileSnapshot(), **changes)
