"""Environments, and the archives that clusters have too, as messages."""

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_inventory.domain.cluster import EnvironmentReference
from kadeploy_inventory.domain.environment import (
    BootKind,
    BootSpec,
    Environment,
    Image,
    ImageKind,
    OperatingSystem,
    Visibility,
)
from kadeploy_inventory.domain.script_archive import Compression, ScriptArchive
from kadeploy_inventory.rpc.wire_values import read_enum, write_enum, write_time

_VISIBILITY, _SYSTEM = "VISIBILITY_", "OPERATING_SYSTEM_"
_KIND, _COMPRESSION, _BOOT = "IMAGE_KIND_", "COMPRESSION_", "BOOT_KIND_"


def reference_from_message(message: environment_pb2.EnvironmentReference) -> EnvironmentReference:
    """Returns the reference in a message."""
    version = message.version if message.HasField("version") else None
    return EnvironmentReference(name=message.name, version=version, owner=message.owner)


def reference_to_message(reference: EnvironmentReference) -> environment_pb2.EnvironmentReference:
    """Returns the message of a reference."""
    return environment_pb2.EnvironmentReference(name=reference.name, version=reference.version, owner=reference.owner)


def environment_from_message(message: environment_pb2.Environment) -> Environment:
    """Returns the description in a message; what the server makes is left out."""
    return Environment(
        name=message.name,
        version=message.version,
        owner=message.owner,
        description=message.description,
        author=message.author,
        visibility=read_enum(
            Visibility,
            message.visibility,
            environment_pb2.Visibility,
            prefix=_VISIBILITY,
            default=Visibility.PRIVATE,
        ),
        operating_system=read_enum(
            OperatingSystem,
            message.operating_system,
            environment_pb2.OperatingSystem,
            prefix=_SYSTEM,
            default=OperatingSystem.LINUX,
        ),
        image=_image_from_message(message.image),
        preinstall=archive_from_message(message.preinstall) if message.HasField("preinstall") else None,
        postinstalls=tuple(_postinstall_from_message(each) for each in message.postinstalls),
        boot=_boot_from_message(message.boot),
        file_system=message.file_system,
        partition_type_id=message.partition_type_id,
        required_size_bytes=message.required_size_bytes,
        options=message.options,
        cluster=message.cluster,
        destructive=message.destructive,
        alias=message.alias,
        architecture=message.architecture,
        custom_variables=dict(message.custom_variables),
        running_system_refused=message.running_system_refused,
    )


def environment_to_message(environment: Environment) -> environment_pb2.Environment:
    """Returns the message of an environment."""
    return environment_pb2.Environment(
        name=environment.name,
        version=environment.version,
        owner=environment.owner,
        description=environment.description,
        author=environment.author,
        visibility=write_enum(environment.visibility, environment_pb2.Visibility, prefix=_VISIBILITY),
        operating_system=write_enum(environment.operating_system, environment_pb2.OperatingSystem, prefix=_SYSTEM),
        image=_image_to_message(environment.image),
        preinstall=archive_to_message(environment.preinstall),
        postinstalls=[_archive_to_message(each) for each in environment.postinstalls],
        boot=_boot_to_message(environment.boot),
        file_system=environment.file_system,
        partition_type_id=environment.partition_type_id,
        required_size_bytes=environment.required_size_bytes,
        options=environment.options,
        cluster=environment.cluster,
        destructive=environment.destructive,
        alias=environment.alias,
        architecture=environment.architecture,
        custom_variables=environment.custom_variables,
        running_system_refused=environment.running_system_refused,
        uid=environment.uid,
        etag=environment.etag,
        create_time=write_time(environment.create_time),
    )


def archive_from_message(message: environment_pb2.ScriptArchive) -> ScriptArchive | None:
    """Returns the archive in a message, or None when the message is empty."""
    if message == environment_pb2.ScriptArchive():
        return None
    return _postinstall_from_message(message)


def archive_to_message(archive: ScriptArchive | None) -> environment_pb2.ScriptArchive | None:
    """Returns the message of an archive; None stays absent."""
    return None if archive is None else _archive_to_message(archive)


def _archive_to_message(archive: ScriptArchive) -> environment_pb2.ScriptArchive:
    return environment_pb2.ScriptArchive(
        uri=archive.uri,
        compression=write_enum(archive.compression, environment_pb2.Compression, prefix=_COMPRESSION),
        digest=archive.digest,
        size_bytes=archive.size_bytes,
        script=archive.script,
        script_arguments=archive.script_arguments,
    )


def _postinstall_from_message(message: environment_pb2.ScriptArchive) -> ScriptArchive:
    return ScriptArchive(
        uri=message.uri,
        compression=_compression(message.compression),
        digest=message.digest,
        size_bytes=message.size_bytes,
        script=message.script,
        script_arguments=tuple(message.script_arguments),
    )


def _compression(number: int) -> Compression:
    return read_enum(
        Compression,
        number,
        environment_pb2.Compression,
        prefix=_COMPRESSION,
        default=Compression.UNSPECIFIED,
    )


def _image_from_message(message: environment_pb2.Image) -> Image:
    return Image(
        uri=message.uri,
        kind=read_enum(
            ImageKind,
            message.kind,
            environment_pb2.ImageKind,
            prefix=_KIND,
            default=ImageKind.UNSPECIFIED,
        ),
        compression=_compression(message.compression),
        digest=message.digest,
        size_bytes=message.size_bytes,
        whole_disk=message.whole_disk,
    )


def _image_to_message(image: Image) -> environment_pb2.Image:
    return environment_pb2.Image(
        uri=image.uri,
        kind=write_enum(image.kind, environment_pb2.ImageKind, prefix=_KIND),
        compression=write_enum(image.compression, environment_pb2.Compression, prefix=_COMPRESSION),
        digest=image.digest,
        size_bytes=image.size_bytes,
        whole_disk=image.whole_disk,
    )


def _boot_from_message(message: environment_pb2.BootSpec) -> BootSpec:
    return BootSpec(
        kind=read_enum(
            BootKind,
            message.kind,
            environment_pb2.BootKind,
            prefix=_BOOT,
            default=BootKind.LINUX,
        ),
        kernel_path=message.kernel_path,
        initrd_path=message.initrd_path,
        kernel_arguments=message.kernel_arguments,
        hypervisor_path=message.hypervisor_path,
        hypervisor_arguments=message.hypervisor_arguments,
        kexec_refused=message.kexec_refused,
        partition=message.partition,
    )


def _boot_to_message(boot: BootSpec) -> environment_pb2.BootSpec:
    return environment_pb2.BootSpec(
        kind=write_enum(boot.kind, environment_pb2.BootKind, prefix=_BOOT),
        kernel_path=boot.kernel_path,
        initrd_path=boot.initrd_path,
        kernel_arguments=boot.kernel_arguments,
        hypervisor_path=boot.hypervisor_path,
        hypervisor_arguments=boot.hypervisor_arguments,
        kexec_refused=boot.kexec_refused,
        partition=boot.partition,
    )
