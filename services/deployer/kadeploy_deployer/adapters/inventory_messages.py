"""The inventory's messages as the deployer's own data. Pure."""

from collections.abc import Iterable, Mapping

from google.protobuf import duration_pb2

from kadeploy.inventory.v1 import (
    cluster_pb2,
    command_template_pb2,
    environment_pb2,
    inventory_service_pb2,
    node_pb2,
)
from kadeploy_deployer.app.ports import NodeResolution, Resolution, ResolvedNode
from kadeploy_deployer.domain.snapshot import (
    ArchiveSnapshot,
    CommandSnapshot,
    DefaultSystemSnapshot,
    DiskSnapshot,
    EnvironmentSnapshot,
    FileSnapshot,
    NodeSnapshot,
    PartitionSnapshot,
    ProfileSnapshot,
    StepPolicy,
)
from kadeploy_deployer.domain.states import BootMethod, RebootLevel

_COMMANDS = (
    "soft_reboot",
    "hard_reboot",
    "very_hard_reboot",
    "power_on",
    "power_off",
    "power_status",
    "console",
)
_TABLES = {node_pb2.PARTITION_TABLE_GPT: "gpt"}
_FIRMWARES = {node_pb2.FIRMWARE_UEFI: "uefi"}
_TYPES = {node_pb2.PARTITION_TYPE_EXTENDED: "extended", node_pb2.PARTITION_TYPE_LOGICAL: "logical"}
_ROLES = {
    node_pb2.PARTITION_ROLE_SWAP: "swap",
    node_pb2.PARTITION_ROLE_TMP: "tmp",
    node_pb2.PARTITION_ROLE_PRODUCTION: "production",
}
_COMPRESSIONS = {
    environment_pb2.COMPRESSION_GZIP: "gzip",
    environment_pb2.COMPRESSION_BZIP2: "bzip2",
    environment_pb2.COMPRESSION_XZ: "xz",
    environment_pb2.COMPRESSION_ZSTD: "zstd",
}
_IMAGE_KINDS = {environment_pb2.IMAGE_KIND_DD: "dd"}
_BOOT_KINDS = {
    environment_pb2.BOOT_KIND_CHAINLOAD: "chainload",
    environment_pb2.BOOT_KIND_MULTIBOOT: "multiboot",
}
_SYSTEMS = {environment_pb2.OPERATING_SYSTEM_XEN: "xen", environment_pb2.OPERATING_SYSTEM_OTHER: "other"}
_BOOT_METHODS = {
    cluster_pb2.BOOT_METHOD_GRUB: BootMethod.GRUB,
    cluster_pb2.BOOT_METHOD_CHAINLOAD: BootMethod.CHAINLOAD,
    cluster_pb2.BOOT_METHOD_KEXEC: BootMethod.KEXEC,
}
_LEVELS = {
    cluster_pb2.REBOOT_LEVEL_SOFT: RebootLevel.SOFT,
    cluster_pb2.REBOOT_LEVEL_HARD: RebootLevel.HARD,
    cluster_pb2.REBOOT_LEVEL_VERY_HARD: RebootLevel.VERY_HARD,
}


def resolution(
    response: inventory_service_pb2.ResolveDeploymentResponse,
    defaults: Mapping[str, environment_pb2.Environment] | None = None,
) -> Resolution:
    """Returns what a request resolved to. `defaults`: default environments by cluster, where known."""
    known = defaults or {}
    clusters = {cluster.name: cluster.profile for cluster in response.clusters}
    return Resolution(
        nodes=_nodes(response.nodes, clusters),
        environment=environment(response.environment),
        profiles={name: profile(message, known.get(name)) for name, message in clusters.items()},
    )


def node_resolution(response: inventory_service_pb2.ResolveDeploymentResponse) -> NodeResolution:
    """Returns what a node set resolved to."""
    clusters = {cluster.name: cluster.profile for cluster in response.clusters}
    return NodeResolution(
        nodes=_nodes(response.nodes, clusters),
        profiles={name: profile(message) for name, message in clusters.items()},
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
            compression=_COMPRESSIONS.get(image.compression, "none"),
        ),
        kind=_IMAGE_KINDS.get(image.kind, "tar"),
        operating_system=_SYSTEMS.get(message.operating_system, "linux"),
        preinstall=_archive(message.preinstall, "init.ash"),
        postinstalls=tuple(
            archive for each in message.postinstalls if (archive := _archive(each, "traitement.ash")) is not None
        ),
        boot_kind=_BOOT_KINDS.get(message.boot.kind, "linux"),
        kernel_path=message.boot.kernel_path,
        initrd_path=message.boot.initrd_path,
        kernel_arguments=message.boot.kernel_arguments,
        hypervisor_path=message.boot.hypervisor_path,
        hypervisor_arguments=message.boot.hypervisor_arguments,
        file_system=message.file_system,
        partition_type_id=message.partition_type_id or 0x83,
        required_size_bytes=message.required_size_bytes,
        options=message.options,
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
        reboot_ladder=tuple(_LEVELS[level] for level in message.reboot_ladder if level in _LEVELS)
        or default.reboot_ladder,
        deployment_kernel_label=message.deployment_kernel_label or default.deployment_kernel_label,
        deployment_kernel_arguments=message.deployment_kernel_arguments,
        kernel_arguments=message.kernel_arguments,
        boot_method=_BOOT_METHODS.get(message.boot_method, default.boot_method),
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


class _Shared:
    """Disks and commands that many nodes share, by their bytes on the wire: each kind is read once, as one value."""

    def __init__(self, clusters: Mapping[str, cluster_pb2.ClusterProfile]) -> None:
        self._clusters = clusters
        self._disks: dict[tuple[bytes, ...], tuple[DiskSnapshot, ...]] = {}
        self._commands: dict[tuple[str, bytes], CommandSnapshot] = {}

    def disks(self, node: node_pb2.Node) -> tuple[DiskSnapshot, ...]:
        """Returns the disks of a node."""
        wire = tuple(disk.SerializeToString(deterministic=True) for disk in node.disks)
        if wire not in self._disks:
            self._disks[wire] = tuple(_disk(disk) for disk in node.disks)
        return self._disks[wire]

    def commands(self, node: node_pb2.Node) -> CommandSnapshot:
        """Returns the commands of a node, its own before those of its cluster."""
        key = node.cluster, node.commands.SerializeToString(deterministic=True)
        if key not in self._commands:
            profile = self._clusters.get(node.cluster, cluster_pb2.ClusterProfile())
            self._commands[key] = _commands(node.commands, profile.commands)
        return self._commands[key]


def _nodes(
    messages: Iterable[inventory_service_pb2.ResolvedNode], clusters: Mapping[str, cluster_pb2.ClusterProfile]
) -> tuple[ResolvedNode, ...]:
    shared = _Shared(clusters)
    return tuple(_resolved(message, shared) for message in messages)


def _resolved(message: inventory_service_pb2.ResolvedNode, shared: _Shared) -> ResolvedNode:
    if not message.HasField("node"):
        return ResolvedNode(name=message.name, snapshot=None, allowed=message.allowed)
    node = message.node
    snapshot = NodeSnapshot(
        name=node.name,
        mac_address=node.mac_address,
        ip_address=node.ip_address,
        cluster=node.cluster,
        device=message.device,
        partition=message.partition,
        firmware=_FIRMWARES.get(node.firmware, "bios"),
        bmc_address=node.bmc_address or f"{node.name}-bmc",
        uuid=node.uuid,
        labels=dict(node.labels),
        disks=shared.disks(node),
        commands=shared.commands(node),
    )
    return ResolvedNode(name=message.name, snapshot=snapshot, allowed=message.allowed)


def _disk(message: node_pb2.Disk) -> DiskSnapshot:
    return DiskSnapshot(
        device=message.device,
        size_bytes=message.size_bytes,
        partition_table=_TABLES.get(message.partition_table, "mbr"),
        partitions=tuple(
            PartitionSnapshot(
                number=part.number,
                size_bytes=part.size_bytes,
                type=_TYPES.get(part.type, "primary"),
                type_id=part.type_id or 0x83,
                label=part.label,
                role=_ROLES.get(part.role, "deploy"),
            )
            for part in sorted(message.partitions, key=lambda part: part.number)
        ),
    )


def _commands(
    own: command_template_pb2.CommandTemplates, shared: command_template_pb2.CommandTemplates
) -> CommandSnapshot:
    def template(word: str) -> tuple[str, ...]:
        return tuple(getattr(own, word).arguments) or tuple(getattr(shared, word).arguments)

    return CommandSnapshot(**{word: template(word) for word in _COMMANDS})


def _archive(message: environment_pb2.ScriptArchive, script: str) -> ArchiveSnapshot | None:
    if not message.uri:
        return None
    file = FileSnapshot(
        uri=message.uri,
        digest=message.digest,
        size_bytes=message.size_bytes,
        compression=_COMPRESSIONS.get(message.compression, "none"),
    )
    return ArchiveSnapshot(file=file, script=message.script or script)


def _seconds(duration: duration_pb2.Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
