"""The inventory's messages as the deployer's own data, but for nodes (`inventory_nodes.py`). Pure."""

from collections.abc import Mapping
from typing import Final

from google.protobuf import duration_pb2

from kadeploy.inventory.v1 import (
    cluster_pb2,
    environment_pb2,
    inventory_service_pb2,
)
from kadeploy_deployer.adapters.enum_words import word
from kadeploy_deployer.domain.snapshot import (
    ArchiveSnapshot,
    DefaultSystemSnapshot,
    EnvironmentSnapshot,
    FileSnapshot,
    ProfileSnapshot,
    StepPolicy,
)
from kadeploy_deployer.domain.states import BootMethod, RebootLevel
from kadeploy_deployer.domain.vocabulary import BootKind, Compression, ImageKind, OperatingSystem
from kadeploy_deployer.ports import NodeResolution, Resolution, ResolvedNode

_COMPRESSIONS: Final[Mapping[int, Compression]] = {
    environment_pb2.COMPRESSION_NONE: Compression.NONE,
    environment_pb2.COMPRESSION_GZIP: Compression.GZIP,
    environment_pb2.COMPRESSION_BZIP2: Compression.BZIP2,
    environment_pb2.COMPRESSION_XZ: Compression.XZ,
    environment_pb2.COMPRESSION_ZSTD: Compression.ZSTD,
}
_IMAGE_KINDS: Final[Mapping[int, ImageKind]] = {
    environment_pb2.IMAGE_KIND_TAR: ImageKind.TAR,
    environment_pb2.IMAGE_KIND_DD: ImageKind.DD,
}
_BOOT_KINDS: Final[Mapping[int, BootKind]] = {
    environment_pb2.BOOT_KIND_LINUX: BootKind.LINUX,
    environment_pb2.BOOT_KIND_CHAINLOAD: BootKind.CHAINLOAD,
    environment_pb2.BOOT_KIND_MULTIBOOT: BootKind.MULTIBOOT,
}
_SYSTEMS: Final[Mapping[int, OperatingSystem]] = {
    environment_pb2.OPERATING_SYSTEM_LINUX: OperatingSystem.LINUX,
    environment_pb2.OPERATING_SYSTEM_XEN: OperatingSystem.XEN,
    environment_pb2.OPERATING_SYSTEM_OTHER: OperatingSystem.OTHER,
}
_BOOT_METHODS: Final[Mapping[int, BootMethod]] = {
    cluster_pb2.BOOT_METHOD_NETWORK: BootMethod.NETWORK,
    cluster_pb2.BOOT_METHOD_GRUB: BootMethod.GRUB,
    cluster_pb2.BOOT_METHOD_CHAINLOAD: BootMethod.CHAINLOAD,
    cluster_pb2.BOOT_METHOD_KEXEC: BootMethod.KEXEC,
}
_LEVELS: Final[Mapping[int, RebootLevel]] = {
    cluster_pb2.REBOOT_LEVEL_SOFT: RebootLevel.SOFT,
    cluster_pb2.REBOOT_LEVEL_HARD: RebootLevel.HARD,
    cluster_pb2.REBOOT_LEVEL_VERY_HARD: RebootLevel.VERY_HARD,
}


def resolution(
    response: inventory_service_pb2.ResolveDeploymentResponse,
    nodes: tuple[ResolvedNode, ...],
    defaults: Mapping[str, environment_pb2.Environment],
) -> Resolution:
    """Returns what a request resolved to.

    Args:
        response: the inventory's answer.
        nodes: those of the answer, as `inventory_nodes` reads them.
        defaults: default environments by cluster, where known.
    """
    return Resolution(
        nodes=nodes,
        environment=environment(response.environment),
        profiles={cluster.name: profile(cluster.profile, defaults.get(cluster.name)) for cluster in response.clusters},
    )


def node_resolution(
    response: inventory_service_pb2.ResolveDeploymentResponse, nodes: tuple[ResolvedNode, ...]
) -> NodeResolution:
    """Returns what a node set resolved to. Arguments as for resolution."""
    return NodeResolution(
        nodes=nodes, profiles={cluster.name: profile(cluster.profile) for cluster in response.clusters}
    )


def environment(message: environment_pb2.Environment) -> EnvironmentSnapshot:
    """Returns an environment's snapshot."""
    image = message.image
    return EnvironmentSnapshot(
        name=message.name,
        version=message.version,
        owner=message.owner,
        image=FileSnapshot(
            uri=image.uri,
            digest=image.digest,
            size_bytes=image.size_bytes,
            compression=_compression(image.compression),
        ),
        kind=word(_IMAGE_KINDS, image.kind, "image.kind", unspecified=ImageKind.TAR),
        operating_system=word(
            _SYSTEMS, message.operating_system, "environment.operating_system", unspecified=OperatingSystem.LINUX
        ),
        preinstall=_archive(message.preinstall, "init.ash"),
        postinstalls=tuple(
            archive for each in message.postinstalls if (archive := _archive(each, "traitement.ash")) is not None
        ),
        boot_kind=word(_BOOT_KINDS, message.boot.kind, "boot.kind", unspecified=BootKind.LINUX),
        kernel_path=message.boot.kernel_path,
        initrd_path=message.boot.initrd_path,
        kernel_arguments=message.boot.kernel_arguments,
        hypervisor_path=message.boot.hypervisor_path,
        hypervisor_arguments=message.boot.hypervisor_arguments,
        file_system=message.file_system,
        partition_type_id=message.partition_type_id or 0x83,
        required_size_bytes=message.required_size_bytes,
        options=message.options,
        architecture=message.architecture,
        custom_variables=tuple(sorted(message.custom_variables.items())),
        destructive=message.destructive,
        running_system_refused=message.running_system_refused,
        kexec_refused=message.boot.kexec_refused,
        whole_disk=image.whole_disk,
        system_partition=message.boot.partition,
    )


def profile(
    message: cluster_pb2.ClusterProfile, default_environment: environment_pb2.Environment | None = None
) -> ProfileSnapshot:
    """Returns a profile's snapshot; a field that the inventory left out takes the contract's default."""
    default = ProfileSnapshot()
    window = message.reboot_window
    return ProfileSnapshot(
        first_check_timeout=_seconds(message.first_check_timeout) or default.first_check_timeout,
        last_check_timeout=_seconds(message.last_check_timeout) or default.last_check_timeout,
        reboot_window_size=window.size or default.reboot_window_size,
        reboot_window_pause=_seconds(window.pause) if window.HasField("pause") else default.reboot_window_pause,
        reboot_ladder=tuple(word(_LEVELS, level, "cluster.reboot_ladder") for level in message.reboot_ladder)
        or default.reboot_ladder,
        deployment_kernel_label=message.deployment_kernel_label or default.deployment_kernel_label,
        deployment_kernel_arguments=message.deployment_kernel_arguments,
        kernel_arguments=message.kernel_arguments,
        boot_method=word(_BOOT_METHODS, message.boot_method, "cluster.boot_method", unspecified=default.boot_method),
        mkfs_options=dict(message.mkfs_options),
        preinstall=_archive(message.preinstall, "init.ash"),
        partition_on_deploy=message.partition_on_deploy,
        default_system=None
        if default_environment is None
        else DefaultSystemSnapshot(
            environment=environment(default_environment),
            device=message.default_environment.device,
            partition=message.default_environment.partition,
        ),
        step_policies={
            policy.step: StepPolicy(timeout=_seconds(policy.timeout), retries=policy.retries)
            for policy in message.step_policies
        },
    )


def _archive(message: environment_pb2.ScriptArchive, script: str) -> ArchiveSnapshot | None:
    if not message.uri:
        return None
    file = FileSnapshot(
        uri=message.uri,
        digest=message.digest,
        size_bytes=message.size_bytes,
        compression=_compression(message.compression),
    )
    return ArchiveSnapshot(file=file, script=message.script or script, arguments=tuple(message.script_arguments))


def _compression(number: int) -> Compression:
    return word(_COMPRESSIONS, number, "compression", unspecified=Compression.NONE)


def _seconds(duration: duration_pb2.Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
