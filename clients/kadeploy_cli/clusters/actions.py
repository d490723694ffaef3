"""Clusters: their profiles from YAML files, and what stands in the inventory."""

from pathlib import Path

from google.protobuf.field_mask_pb2 import FieldMask

from kadeploy.inventory.v1 import cluster_pb2, inventory_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.descriptions import cluster_profile, power_driver
from kadeploy_cli.descriptions.text import decode
from kadeploy_cli.environments import image_files
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.plain import plain, word

COLUMNS = ("CLUSTER", "NODES", "KERNEL LABEL", "TARGET", "LADDER")


def read_profile(file: str) -> tuple[cluster_pb2.ClusterProfile, list[str]]:
    """Returns the profile that a file describes, and the fields that it mentions."""
    source = "stdin" if file == "-" else file
    directory = Path.cwd() if file == "-" else Path(file).absolute().parent
    return cluster_profile.parse(
        decode(node_names.read_file(file), source),
        source,
        directory=directory,
        read_archive=image_files.script_archive,
    )


def create(session: Session, name: str, file: str | None) -> ExitCode:
    """Makes a cluster, with the defaults where no file says otherwise."""
    profile = read_profile(file)[0] if file else cluster_pb2.ClusterProfile()
    request = inventory_service_pb2.CreateClusterRequest(cluster=cluster_pb2.Cluster(name=name, profile=profile))
    cluster = session.inventory.call(session.inventory.clusters.CreateCluster, request)
    output.say(f"cluster {cluster.name} is created")
    return ExitCode.OK


def update(session: Session, name: str, file: str) -> ExitCode:
    """Changes the fields of a profile that the file mentions, and no others."""
    profile, fields = read_profile(file)
    request = inventory_service_pb2.UpdateClusterRequest(
        cluster=cluster_pb2.Cluster(name=name, profile=profile),
        update_mask=FieldMask(paths=[f"profile.{field}" for field in fields]),
    )
    cluster = session.inventory.call(session.inventory.clusters.UpdateCluster, request)
    output.say(f"cluster {cluster.name} is changed: {', '.join(fields)}")
    return ExitCode.OK


def delete(session: Session, name: str) -> ExitCode:
    """Removes a cluster without nodes."""
    request = inventory_service_pb2.DeleteClusterRequest(name=name)
    session.inventory.call(session.inventory.clusters.DeleteCluster, request)
    output.say(f"cluster {name} is removed")
    return ExitCode.OK


def show_list(session: Session) -> ExitCode:
    """Prints all clusters."""
    inventory = session.inventory
    request = inventory_service_pb2.ListClustersRequest()
    found = list(inventory.pages(inventory.clusters.ListClusters, request, lambda page: page.clusters))
    output.show(
        session.form,
        columns=COLUMNS,
        rows=[_row(cluster) for cluster in found],
        data=[plain(cluster) for cluster in found],
        names=[cluster.name for cluster in found],
    )
    return ExitCode.OK


def _row(cluster: cluster_pb2.Cluster) -> tuple[str, ...]:
    profile = cluster.profile
    target = f"{profile.default_device}{profile.default_partition or ''}"
    ladder = " ".join(_level(level) for level in profile.reboot_ladder)
    return (cluster.name, str(cluster.node_count), profile.deployment_kernel_label, target, ladder)


def _level(level: "cluster_pb2.RebootLevel.ValueType") -> str:
    return cluster_pb2.RebootLevel.Name(level).removeprefix("REBOOT_LEVEL_").lower()


def show_one(session: Session, name: str) -> ExitCode:
    """Prints a cluster and its whole profile, in the words of the profile's file."""
    request = inventory_service_pb2.GetClusterRequest(name=name)
    cluster = session.inventory.call(session.inventory.clusters.GetCluster, request)
    if session.form is not output.Format.TABLE:
        output.show(session.form, columns=(), rows=(), data=plain(cluster), names=[cluster.name])
        return ExitCode.OK
    profile = cluster.profile
    window, default = profile.reboot_window, profile.default_environment
    seconds = {
        "first_check_timeout": profile.first_check_timeout,
        "last_check_timeout": profile.last_check_timeout,
    }
    output.show_fields(
        [
            ("name", cluster.name),
            ("nodes", str(cluster.node_count)),
            *((key, f"{value.ToTimedelta().total_seconds():g} s") for key, value in seconds.items()),
            *(
                (f"step {policy.step}", f"{policy.timeout.ToTimedelta().total_seconds():g} s, {policy.retries} retries")
                for policy in profile.step_policies
            ),
            ("reboot_window", f"{window.size} nodes, {window.pause.ToTimedelta().total_seconds():g} s pause"),
            *((f"command {field.name}", " ".join(value.arguments)) for field, value in profile.commands.ListFields()),
            ("power", power_driver.in_words(profile.power_driver)),
            ("bmc_address", profile.bmc_address),
            ("power_group_label", profile.power_group_label),
            ("group_commands", " ".join(profile.group_commands)),
            ("reboot_ladder", " ".join(_level(level) for level in profile.reboot_ladder)),
            ("deployment_kernel_label", profile.deployment_kernel_label),
            ("deployment_kernel_arguments", profile.deployment_kernel_arguments),
            ("kernel_arguments", profile.kernel_arguments),
            *((f"mkfs {system}", options) for system, options in sorted(profile.mkfs_options.items())),
            ("preinstall", profile.preinstall.uri),
            ("default_environment", f"{default.environment.name} {default.device}{default.partition or ''}".strip()),
            ("default_device", profile.default_device),
            ("default_partition", str(profile.default_partition)),
            ("partition_on_deploy", "true" if profile.partition_on_deploy else "false"),
            ("boot_method", word(cluster_pb2.BootMethod.DESCRIPTOR, profile.boot_method)),
        ]
    )
    return ExitCode.OK
