"""Environments: recording them with the digests of their files, looking at them, removing them."""

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from google.protobuf.field_mask_pb2 import FieldMask

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy.inventory.v1 import environment_pb2, inventory_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.descriptions import environment_file
from kadeploy_cli.environments import describing, image_files, uploading
from kadeploy_cli.nodes import actions as nodes
from kadeploy_cli.nodes import partitions
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure, UsageFailure
from kadeploy_cli.terminal.plain import plain, word

COLUMNS = ("NAME", "VERSION", "OWNER", "VISIBILITY", "IMAGE", "SIZE", "DESCRIPTION")
LEAST = ("IMAGE", "VISIBILITY")
"""Columns that are left out first where there is no room."""


# The files of an environment, by the paths of an update.
IMAGE, PREINSTALL, POSTINSTALLS = "image.digest", "preinstall.digest", "postinstalls"
FILES = (IMAGE, PREINSTALL, POSTINSTALLS)


def record(session: Session, *, file: str | None, options: Mapping[str, str | None], owner: str = "") -> ExitCode:
    """Records an environment described by a file, by options, or by a file with some values overridden."""
    environment = describing.described(file=file, options=options, owner=owner)
    uploading.bring_files(session, environment)
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


def refuse_unrecordable(session: Session, planned: environment_pb2.Environment) -> None:
    """Raises Failure for what the inventory would not record: before an image is made in vain."""
    request = inventory_service_pb2.RecordEnvironmentRequest(environment=planned, validate_only=True)
    session.inventory.call(session.inventory.environments.RecordEnvironment, request)


def fetch(
    session: Session, *, name: str = "", owner: str = "", cluster: str = "", latest: bool = False
) -> list[environment_pb2.Environment]:
    """Returns the environments that the caller may use and that fit."""
    inventory = session.inventory
    wanted = inventory_service_pb2.EnvironmentFilter(name=name, owner=owner, cluster=cluster, latest=latest)
    request = inventory_service_pb2.ListEnvironmentsRequest(filter=wanted)
    return list(inventory.pages(inventory.environments.ListEnvironments, request, lambda page: page.environments))


def show_list(
    session: Session, *, name: str = "", owner: str = "", cluster: str = "", latest: bool = False, pattern: str = "*"
) -> ExitCode:
    """Prints the environments that the caller may use and that fit. `pattern`: of names or aliases, as in a shell."""
    found = [
        environment
        for environment in fetch(session, name=name, owner=owner, cluster=cluster, latest=latest)
        if fnmatchcase(environment.name, pattern) or fnmatchcase(environment.alias, pattern)
    ]
    output.show(
        session.form,
        columns=COLUMNS,
        rows=[_row(environment) for environment in found],
        data=[plain(environment) for environment in found],
        names=dict.fromkeys(environment.name for environment in found),
        least=LEAST,
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
    if not name:
        raise UsageFailure("the environment's name is empty")
    named = environment_pb2.EnvironmentReference(name=name, owner=owner)
    if version is not None:
        named.version = version
    return named


def get(session: Session, named: environment_pb2.EnvironmentReference) -> environment_pb2.Environment:
    """Returns the environment that is meant."""
    request = inventory_service_pb2.GetEnvironmentRequest(environment=named)
    return session.inventory.call(session.inventory.environments.GetEnvironment, request)


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


def update(
    session: Session,
    named: environment_pb2.EnvironmentReference,
    *,
    visibility: str | None = None,
    accepted: Collection[str] = (),
    toggle_destructive: bool = False,
) -> ExitCode:
    """Changes who may use a version, or accepts its files as they are now; nothing else of it ever changes.

    Args:
        session: of the command.
        named: which environment.
        visibility: the new one, None to leave it.
        toggle_destructive: turn the destructive flag over.
        accepted: which files' digests are taken anew, of FILES.
    """
    inventory = session.inventory
    request = inventory_service_pb2.GetEnvironmentRequest(environment=named)
    environment = inventory.call(inventory.environments.GetEnvironment, request)
    paths = []
    if visibility is not None:
        environment.visibility = environment_file.VISIBILITIES[visibility]
        paths.append("visibility")
    if toggle_destructive:
        environment.destructive = not environment.destructive
        paths.append("destructive")
    paths += _accept_digests(environment, accepted)
    called = f"environment {environment.name} version {environment.version} of {environment.owner}"
    if not paths:
        output.say(f"{called}: every file is the registered one; nothing is changed")
        return ExitCode.OK
    wanted = inventory_service_pb2.UpdateEnvironmentRequest(environment=environment, update_mask=FieldMask(paths=paths))
    inventory.call(inventory.environments.UpdateEnvironment, wanted)
    output.say(f"{called} is changed: {', '.join(paths)}")
    return ExitCode.OK


def _accept_digests(environment: environment_pb2.Environment, accepted: Collection[str]) -> list[str]:
    """Reads every file of an environment again, puts in what differs, and returns the paths that changed."""
    files: list[tuple[str, environment_pb2.Image | environment_pb2.ScriptArchive]] = [(IMAGE, environment.image)]
    if environment.HasField("preinstall"):
        files.append((PREINSTALL, environment.preinstall))
    files += [(POSTINSTALLS, archive) for archive in environment.postinstalls]
    changed: dict[str, None] = {}
    for path, file in files:
        # An upload is named by its content, which never changes.
        if path not in accepted or file.uri.startswith(image_files.UPLOAD):
            continue
        stored = image_files.read(file.uri, Path("/"))
        if (stored.digest, stored.size_bytes) == (file.digest, file.size_bytes):
            continue
        output.say(
            f"{file.uri}: {file.digest} ({output.size(file.size_bytes)}) becomes "
            f"{stored.digest} ({output.size(stored.size_bytes)})"
        )
        file.digest, file.size_bytes = stored.digest, stored.size_bytes
        changed[path] = None
    return list(changed)


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
