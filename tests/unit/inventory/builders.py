"""Values of the inventory's domain that are right in every field, to be spoilt by one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from kadeploy_inventory.domain.cluster import (
    BootMethod,
    ClusterProfile,
    DefaultEnvironment,
    EnvironmentReference,
    RebootLevel,
    RebootWindow,
    StepPolicy,
)
from kadeploy_inventory.domain.command_template import CommandTemplates
from kadeploy_inventory.domain.environment import BootSpec, Environment, Image, ImageKind, Visibility
from kadeploy_inventory.domain.node import Node
from kadeploy_inventory.domain.partition_table import Disk, Partition, PartitionType
from kadeploy_inventory.domain.script_archive import Compression, ScriptArchive

GIB = 1024**3
DIGEST = "sha256:" + "0123456789abcdef" * 4


def partition(number: int = 3, size_bytes: int = GIB, **changes: Any) -> Partition:
    return replace(Partition(number=number, size_bytes=size_bytes), **changes)


def disk(*partitions: Partition, size_bytes: int = 8 * GIB, **changes: Any) -> Disk:
    kept = partitions or (partition(1, environment="swap"), partition(3))
    return replace(Disk(device="sda", size_bytes=size_bytes, partitions=kept), **changes)


def extended(number: int = 4, size_bytes: int = 4 * GIB) -> Partition:
    return partition(number, size_bytes, type=PartitionType.EXTENDED)


def node(number: int = 1, **changes: Any) -> Node:
    plain = Node(
        name=f"node-{number}",
        mac_address=f"52:54:00:00:{number // 256:02x}:{number % 256:02x}",
        ip_address=f"10.0.{number // 256}.{number % 256}",
        disks=(disk(),),
    )
    return replace(plain, **changes)


def archive(**changes: Any) -> ScriptArchive:
    plain = ScriptArchive(uri="file:///srv/post.tgz", compression=Compression.GZIP, digest=DIGEST)
    return replace(plain, **changes)


def environment(name: str = "debian", **changes: Any) -> Environment:
    plain = Environment(
        name=name,
        version=1,
        owner="alice",
        image=Image(
            uri="file:///srv/debian.tar.zst",
            kind=ImageKind.TAR,
            compression=Compression.ZSTD,
            digest=DIGEST,
            size_bytes=1000,
        ),
        boot=BootSpec(kernel_path="/boot/vmlinuz", initrd_path="/boot/initrd.img"),
        file_system="ext4",
        visibility=Visibility.PRIVATE,
    )
    return replace(plain, **changes)


def full_profile() -> ClusterProfile:
    return ClusterProfile(
        first_check_timeout=timedelta(seconds=1.5),
        last_check_timeout=timedelta(minutes=3),
        step_policies=(StepPolicy(step="format", timeout=timedelta(seconds=9), retries=2), StepPolicy(step="x")),
        reboot_window=RebootWindow(size=3, pause=timedelta(0)),
        commands=CommandTemplates(power_on=("ipmitool", "-H", "{bmc}")),
        reboot_ladder=(RebootLevel.HARD, RebootLevel.VERY_HARD),
        deployment_kernel_label="deploy",
        mkfs_options={"ext4": "-O ^metadata_csum"},
        preinstall=archive(),
        default_environment=DefaultEnvironment(
            environment=EnvironmentReference(name="debian", version=2), device="sda", partition=2
        ),
        partition_on_deploy=True,
        boot_method=BootMethod.KEXEC,
    )
