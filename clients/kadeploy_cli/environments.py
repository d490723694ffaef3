"""Environments: recording them with the digests of their files, looking at them, removing them."""

from collections.abc import Mapping
from pathlib import Path

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy.inventory.v1 import environment_pb2, inventory_service_pb2
from kadeploy_cli import image_files, node_names, nodes, output, partitions
from kadeploy_cli.descriptions import environment_file, settings_file
from kadeploy_cli.descriptions.settings_file import Setting
from kadeploy_cli.descriptions.text import decode
from kadeploy_cli.exit_codes import ExitCode
from kadeploy_cli.failures import Failure
from kadeploy_cli.plain import plain, word
from kadeploy_cli.session import Session

COLUMNS = ("NAME", "VERSION", "OWNER", "VISIBILITY", "IMAGE", "SIZE", "DESCRIPTION")


def record(session: Session, *, file: str | None, options: Mapping[str, str | None], owner: str = "") -> ExitCode:
    """Records an environment described by a file, by options, or by a file with some values overridden."""
    settings: dict[str, Setting] = {}
    directory = Path.cwd()
    if file is not None:
        source = "stdin" if file == "-" else file
        settings.update(settings_file.parse(decode(node_names.read_file(file), source), source))
        directory = Path.cwd() if file == "-" else Path(file).absolute().parent
    given = {key: value for key, value in options.items() if value is not None}
    for key, value in given.items():
        # A path on the command line is relative to where the user stands, not to the file.
        kept = str(Path.cwd() / value) if key in {"filebase", "filesite"} and "://" not in value else value
        settings[key] = Setting(value=kept if value else "", source=f"option for {key}", line=0)
    environment = environment_file.build(
        settings,
        owner=owner,
        directory=directory,
        read_image=image_files.image,
        read_archive=image_files.script_archive,
    )
    return send(session, environment)


def send(session: Session, environment: environment_pb2.Environment) -> ExitCode:
    """Records an environment and says what stands there now."""
    inventory = session.inventory
    request = inventory_service_pb2.RecordEnvironmentRequest(environment=environment)
    recorded = inventory.call(inventory.environments.RecordEnvironment, request)
    output.say(
        f"environment {recorded.name} version {recorded.version} of {recorded.owner} is recorded: "
        f"{output.size(recorded.image.size_bytes)}, {recorded.image.digest}"
    )
    return ExitCode.OK


def fetch(
    session: Session, *, name: str = "", owner: str = "", cluster: str = "", latest: bool = False
) -> list[environment_pb2.Environment]:
    """Returns the environments that the caller may use and that fit."""
    inventory = session.inventory
    wanted = inventory_service_pb2.EnvironmentFilter(name=name, owner=owner, cluster=cluster, latest=latest)
    request = inventory_service_pb2.ListEnvironmentsRequest(filter=wanted)
    return list(inventory.pages(inventory.environments.ListEnvironments, request, lambda page: page.environments))


def show_list(
    session: Session, *, name: str = "", owner: str = "", cluster: str = "", latest: bool = False
) -> ExitCode:
    """Prints the environments that the caller may use and that fit."""
    found = fetch(session, name=name, owner=owner, cluster=cluster, latest=latest)
    output.show(
        session.form,
        columns=COLUMNS,
        rows=[_row(environment) for environment in found],
        data=[plain(environment) for environment in found],
        names=dict.fromkeys(environment.name for environment in found),
    )
    return ExitCode.OK


def _row(environment: environment_pb2.Environment) -> tuple[str, ...]:
    return (
        environment.name,
        str(environment.version),
        environment.owner,
        word(environment_pb2.Visibility.DESCRIPTOR, environment.visibility),
        word(environment_pb2.ImageKind.DESCRIPTOR, environment.image.kind),
        output.size(environment.image.size_bytes),
        environment.description,
    )


def reference(name: str, version: int | None, owner: str) -> environment_pb2.EnvironmentReference:
    """Returns how an environment is named: no version is the latest, no owner goes by the lookup rule."""
    named = environment_pb2.EnvironmentReference(name=name, owner=owner)
    if version is not None:
        named.version = version
    return named


def show_one(session: Session, name: str, version: int | None, owner: str) -> ExitCode:
    """Prints everything that is known of one environment."""
    inventory = session.inventory
    request = inventory_service_pb2.GetEnvironmentRequest(environment=reference(name, version, owner))
    environment = inventory.call(inventory.environments.GetEnvironment, request)
    if session.form is not output.Format.TABLE:
        output.show(session.form, columns=(), rows=(), data=plain(environment), names=[environment.name])
        return ExitCode.OK
    boot = environment.boot
    archives = [("pre-install", environment.preinstall)] if environment.HasField("preinstall") else []
    archives += [("post-install", archive) for archive in environment.postinstalls]
    output.show_fields(
        [
            ("name", environment.name),
            ("version", str(environment.version)),
            ("owner", environment.owner),
            ("description", environment.description),
            ("author", environment.author),
            ("visibility", word(environment_pb2.Visibility.DESCRIPTOR, environment.visibility)),
            ("operating system", word(environment_pb2.OperatingSystem.DESCRIPTOR, environment.operating_system)),
            ("image", environment.image.uri),
            ("image size", output.size(environment.image.size_bytes)),
            ("image digest", environment.image.digest),
            *((name, f"{archive.uri} runs {archive.script} ({archive.digest})") for name, archive in archives),
            ("boot", word(environment_pb2.BootKind.DESCRIPTOR, boot.kind)),
            ("hypervisor", f"{boot.hypervisor_path} {boot.hypervisor_arguments}".strip()),
            ("kernel", boot.kernel_path),
            ("initrd", boot.initrd_path),
            ("kernel arguments", boot.kernel_arguments or "the cluster's"),
            ("file system", environment.file_system),
            ("partition type", f"{environment.partition_type_id:#04x}"),
            ("required size", output.size(environment.required_size_bytes) if environment.required_size_bytes else ""),
            ("options", environment.options),
            ("cluster", environment.cluster),
            ("recorded", output.local_time(environment.create_time)),
        ]
    )
    return ExitCode.OK


def delete(session: Session, name: str, version: int | None, owner: str) -> ExitCode:
    """Removes one version of an environment, or all of them."""
    inventory = session.inventory
    request = inventory_service_pb2.DeleteEnvironmentRequest(environment=reference(name, version, owner))
    answer = inventory.call(inventory.environments.DeleteEnvironment, request)
    versions = ", ".join(str(number) for number in answer.versions)
    output.say(f"environment {name} is removed: version {versions}")
    return ExitCode.OK


def show_owners(session: Session) -> ExitCode:
    """Prints who owns environments that the caller may use."""
    owners = sorted({environment.owner for environment in fetch(session)})
    output.show(session.form, columns=("OWNER",), rows=[(owner,) for owner in owners], data=owners, names=owners)
    return ExitCode.OK


def show_on_nodes(session: Session, wanted: str) -> ExitCode:
    """Prints what was deployed last on each node of a set."""
    latest: dict[str, deployer_service_pb2.PartitionStatus] = {}
    for status in partitions.fetch_states(session, wanted).values():
        best = latest.get(status.node)
        if best is None or status.update_time.ToNanoseconds() > best.update_time.ToNanoseconds():
            latest[status.node] = status
    if not latest:
        raise Failure(
            f"nothing was deployed on {wanted} yet",
            exit_code=ExitCode.NOT_FOUND,
            advice="`kanodes -listpartition` shows what the nodes were registered with.",
        )
    found = list(latest.values())
    output.show(
        session.form,
        columns=("NODE", "ENVIRONMENT", "VERSION", "OWNER", "PARTITION", "DEPLOYMENT"),
        rows=[
            (
                status.node,
                status.environment.name,
                str(status.environment.version),
                status.environment.owner,
                nodes.partition_name(status.device, status.partition),
                status.deployment_id,
            )
            for status in found
        ],
        data=[plain(status) for status in found],
        names=dict.fromkeys(status.environment.name for status in found),
    )
    return ExitCode.OK
