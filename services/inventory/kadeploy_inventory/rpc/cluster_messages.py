"""Clusters and their profiles as messages."""

from dataclasses import replace
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from kadeploy.inventory.v1 import cluster_pb2
from kadeploy_inventory.domain.cluster import (
    BootMethod,
    Cluster,
    ClusterProfile,
    DefaultEnvironment,
    RebootLevel,
    RebootWindow,
    StepPolicy,
)
from kadeploy_inventory.rpc.command_messages import commands_from_message, commands_to_message
from kadeploy_inventory.rpc.environment_messages import (
    archive_from_message,
    archive_to_message,
    reference_from_message,
    reference_to_message,
)
from kadeploy_inventory.rpc.power_driver_messages import power_driver_from_message, power_driver_to_message
from kadeploy_inventory.rpc.wire_values import (
    read_duration,
    read_enum,
    write_duration,
    write_enum,
    write_time,
)

_LEVEL = "REBOOT_LEVEL_"
_BOOT = "BOOT_METHOD_"


def cluster_from_message(message: cluster_pb2.Cluster) -> Cluster:
    """Returns the description in a message; what the server makes is left out."""
    return Cluster(name=message.name, profile=_profile_from_message(message.profile))


def cluster_to_message(cluster: Cluster) -> cluster_pb2.Cluster:
    """Returns the message of a cluster as it was described."""
    return cluster_pb2.Cluster(
        name=cluster.name,
        profile=_profile_to_message(cluster.profile),
        node_count=cluster.node_count,
        etag=cluster.etag,
        create_time=write_time(cluster.create_time),
        update_time=write_time(cluster.update_time),
    )


def complete_cluster_to_message(cluster: Cluster) -> cluster_pb2.Cluster:
    """Returns the message of a cluster with every default of its profile filled in, as readers see it."""
    return cluster_to_message(replace(cluster, profile=cluster.profile.with_defaults()))


def _profile_from_message(message: cluster_pb2.ClusterProfile) -> ClusterProfile:
    window = message.reboot_window
    has_default = message.HasField("default_environment")
    return ClusterProfile(
        first_check_timeout=_wait(message.first_check_timeout, message.HasField("first_check_timeout")),
        last_check_timeout=_wait(message.last_check_timeout, message.HasField("last_check_timeout")),
        step_policies=tuple(_policy_from_message(each) for each in message.step_policies),
        reboot_window=RebootWindow(size=window.size, pause=_wait(window.pause, window.HasField("pause"))),
        commands=commands_from_message(message.commands),
        reboot_ladder=tuple(_level_from_message(level) for level in message.reboot_ladder),
        deployment_kernel_label=message.deployment_kernel_label,
        deployment_kernel_arguments=message.deployment_kernel_arguments,
        kernel_arguments=message.kernel_arguments,
        mkfs_options=dict(message.mkfs_options),
        preinstall=archive_from_message(message.preinstall) if message.HasField("preinstall") else None,
        default_environment=_default_from_message(message.default_environment) if has_default else None,
        default_device=message.default_device,
        default_partition=message.default_partition,
        partition_on_deploy=message.partition_on_deploy,
        boot_method=_boot_method_from_message(message.boot_method),
        power_driver=power_driver_from_message(message.power_driver) if message.HasField("power_driver") else None,
        bmc_address=message.bmc_address,
        power_group_label=message.power_group_label,
        group_commands=tuple(message.group_commands),
    )


def _profile_to_message(profile: ClusterProfile) -> cluster_pb2.ClusterProfile:
    window = profile.reboot_window
    return cluster_pb2.ClusterProfile(
        first_check_timeout=write_duration(profile.first_check_timeout),
        last_check_timeout=write_duration(profile.last_check_timeout),
        deployment_kernel_label=profile.deployment_kernel_label,
        deployment_kernel_arguments=profile.deployment_kernel_arguments,
        kernel_arguments=profile.kernel_arguments,
        default_device=profile.default_device,
        default_partition=profile.default_partition,
        partition_on_deploy=profile.partition_on_deploy,
        boot_method=_boot_method_to_message(profile.boot_method),
        bmc_address=profile.bmc_address,
        power_group_label=profile.power_group_label,
        group_commands=profile.group_commands,
        step_policies=[
            cluster_pb2.StepPolicy(step=each.step, timeout=write_duration(each.timeout), retries=each.retries)
            for each in profile.step_policies
        ],
        reboot_window=cluster_pb2.RebootWindow(size=window.size, pause=write_duration(window.pause)),
        commands=commands_to_message(profile.commands),
        reboot_ladder=[write_enum(level, cluster_pb2.RebootLevel, prefix=_LEVEL) for level in profile.reboot_ladder],
        mkfs_options=profile.mkfs_options,
        preinstall=archive_to_message(profile.preinstall),
        default_environment=_default_to_message(profile.default_environment),
        power_driver=power_driver_to_message(profile.power_driver),
    )


def _wait(message: Duration, given: bool) -> timedelta | None:
    return read_duration(message, "profile") if given else None


def _policy_from_message(message: cluster_pb2.StepPolicy) -> StepPolicy:
    timeout = _wait(message.timeout, message.HasField("timeout"))
    return StepPolicy(step=message.step, timeout=timeout, retries=message.retries)


def _boot_method_from_message(number: int) -> BootMethod | None:
    if not number:
        return None
    return read_enum(BootMethod, number, cluster_pb2.BootMethod, prefix=_BOOT, default=BootMethod.NETWORK)


def _boot_method_to_message(method: BootMethod | None) -> "cluster_pb2.BootMethod.ValueType":
    if method is None:
        return cluster_pb2.BOOT_METHOD_UNSPECIFIED
    number: cluster_pb2.BootMethod.ValueType = write_enum(method, cluster_pb2.BootMethod, prefix=_BOOT)
    return number


def _level_from_message(number: int) -> RebootLevel:
    names, unspecified = cluster_pb2.RebootLevel, RebootLevel.UNSPECIFIED
    return read_enum(RebootLevel, number, names, prefix=_LEVEL, default=unspecified)


def _default_from_message(message: cluster_pb2.DefaultEnvironment) -> DefaultEnvironment:
    return DefaultEnvironment(
        environment=reference_from_message(message.environment),
        device=message.device,
        partition=message.partition,
    )


def _default_to_message(default: DefaultEnvironment | None) -> cluster_pb2.DefaultEnvironment | None:
    if default is None:
        return None
    return cluster_pb2.DefaultEnvironment(
        environment=reference_to_message(default.environment),
        device=default.device,
        partition=default.partition,
    )
