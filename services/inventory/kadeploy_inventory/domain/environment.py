"""Environments: the systems that can be installed, and who may use them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from kadeploy_inventory.domain.names import (
    parse_cluster_name,
    parse_environment_name,
    parse_user_name,
)
from kadeploy_inventory.domain.partition_table import LINUX, MAXIMUM_TYPE_ID
from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.domain.script_archive import (
    POSTINSTALL_SCRIPT,
    PREINSTALL_SCRIPT,
    Compression,
    ScriptArchive,
    check_script_archive,
)
from kadeploy_inventory.domain.texts import (
    parse_architecture,
    parse_digest,
    parse_file_system,
    parse_image_path,
    parse_line,
    parse_uri,
)
from kadeploy_inventory.domain.uploads import check_upload
from kadeploy_inventory.domain.variables import check_variables

MAXIMUM_VERSION = 2**31 - 1
MAXIMUM_PARTITION = 128


class Visibility(StrEnum):
    """Who can use an environment."""

    PRIVATE = "private"
    SHARED = "shared"
    PUBLIC = "public"


class OperatingSystem(StrEnum):
    """What the image holds."""

    LINUX = "linux"
    XEN = "xen"
    OTHER = "other"


class ImageKind(StrEnum):
    """How the image is written."""

    UNSPECIFIED = "unspecified"
    TAR = "tar"
    DD = "dd"


class BootKind(StrEnum):
    """How the installed system is started."""

    LINUX = "linux"
    CHAINLOAD = "chainload"
    MULTIBOOT = "multiboot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The file that is written to the target partition."""

    uri: str
    kind: ImageKind
    compression: Compression
    digest: str
    size_bytes: int = 0
    whole_disk: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSpec:
    """How the installed system is started; paths are inside the image."""

    kind: BootKind = BootKind.LINUX
    kernel_path: str = ""
    initrd_path: str = ""
    kernel_arguments: str = ""
    hypervisor_path: str = ""
    hypervisor_arguments: str = ""
    kexec_refused: bool = False
    partition: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One version of a system. What the server makes is at the end."""

    name: str
    version: int
    owner: str
    image: Image
    boot: BootSpec
    description: str = ""
    author: str = ""
    visibility: Visibility = Visibility.PRIVATE
    operating_system: OperatingSystem = OperatingSystem.LINUX
    preinstall: ScriptArchive | None = None
    postinstalls: tuple[ScriptArchive, ...] = ()
    file_system: str = ""
    partition_type_id: int = LINUX
    required_size_bytes: int = 0
    options: str = ""
    cluster: str = ""
    destructive: bool = False
    alias: str = ""
    architecture: str = ""
    custom_variables: Mapping[str, str] = field(default_factory=dict)
    running_system_refused: bool = False
    uid: str = ""
    etag: str = ""
    create_time: datetime | None = None

    def __str__(self) -> str:
        return f"{self.name} version {self.version} of {self.owner}"

    def is_as_described(self, description: "Environment") -> bool:
        """Returns whether this recorded environment is just what a description says."""
        return replace(self, uid="", etag="", create_time=None) == replace(
            description, uid="", etag="", create_time=None
        )


def check_environment(environment: Environment, problems: Problems) -> Environment:
    """Returns the environment in its normal form and adds what is wrong with it."""
    version = environment.version or 1
    if not 1 <= version <= MAXIMUM_VERSION:
        problems.add("version", f"begins at 1: {version}")
    problems.take("name", parse_environment_name, environment.name)
    problems.take("owner", parse_user_name, environment.owner)
    for name in ("description", "author", "options"):
        problems.take(name, parse_line, getattr(environment, name))
    if environment.alias:
        problems.take("alias", parse_environment_name, environment.alias)
    problems.take("architecture", parse_architecture, environment.architecture)
    check_variables(environment.custom_variables, problems)
    if environment.cluster:
        problems.take("cluster", parse_cluster_name, environment.cluster)
    problems.take("file_system", parse_file_system, environment.file_system)
    if environment.image.kind is ImageKind.TAR and not environment.file_system:
        problems.add("file_system", "must be named for a tar image, such as ext4")
    type_id = environment.partition_type_id or LINUX
    _check_whole_disk(environment, problems)
    if not 0 < type_id <= MAXIMUM_TYPE_ID:
        problems.add("partition_type_id", f"must be from 1 to {MAXIMUM_TYPE_ID}, not {type_id}")
    if environment.required_size_bytes < 0:
        problems.add("required_size_bytes", "must not be negative")
    _check_boot(environment, problems.under("boot"))
    _check_uploads(environment, problems)
    return replace(
        environment,
        version=version,
        operating_system=OperatingSystem.XEN
        if environment.boot.kind is BootKind.MULTIBOOT
        else environment.operating_system,
        partition_type_id=LINUX if environment.image.whole_disk else type_id,
        image=_check_image(environment.image, problems.under("image")),
        preinstall=environment.preinstall
        and check_script_archive(
            environment.preinstall, problems.under("preinstall"), default_script=PREINSTALL_SCRIPT
        ),
        postinstalls=tuple(
            check_script_archive(archive, problems.under(f"postinstalls[{index}]"), default_script=POSTINSTALL_SCRIPT)
            for index, archive in enumerate(environment.postinstalls)
        ),
    )


def _check_uploads(environment: Environment, problems: Problems) -> None:
    files: list[tuple[str, Image | ScriptArchive]] = [("image", environment.image)]
    if environment.preinstall:
        files.append(("preinstall", environment.preinstall))
    files += [(f"postinstalls[{index}]", archive) for index, archive in enumerate(environment.postinstalls)]
    for place, file in files:
        owner = environment.owner
        check_upload(file.uri, file.digest, file.size_bytes, owner=owner, problems=problems.under(place))


def _check_image(image: Image, problems: Problems) -> Image:
    if image.kind is ImageKind.UNSPECIFIED:
        problems.add("kind", "must be tar or dd")
    if image.compression is Compression.UNSPECIFIED:
        problems.add("compression", "must be named, if only as none")
    if image.size_bytes < 0:
        problems.add("size_bytes", f"must not be negative: {image.size_bytes}")
    return replace(
        image,
        uri=problems.take("uri", parse_uri, image.uri),
        digest=problems.take("digest", parse_digest, image.digest),
    )


def _check_whole_disk(environment: Environment, problems: Problems) -> None:
    image, boot = environment.image, environment.boot
    if image.whole_disk and image.kind is ImageKind.TAR:
        problems.add("image.whole_disk", "is for raw images (dd): a tar image is unpacked into one partition")
    if not 0 <= boot.partition <= MAXIMUM_PARTITION:
        problems.add("boot.partition", f"must be from 0 to {MAXIMUM_PARTITION}, not {boot.partition}")
    elif boot.partition and not image.whole_disk:
        problems.add("boot.partition", "is for images of a whole disk alone: the request names the target partition")
    if image.whole_disk and boot.kind is not BootKind.CHAINLOAD and not boot.partition:
        problems.add("boot.partition", "must be named where a kernel on a whole disk is booted")


def _check_boot(environment: Environment, problems: Problems) -> None:
    boot = environment.boot
    for name in ("kernel_path", "initrd_path", "hypervisor_path"):
        problems.take(name, parse_image_path, getattr(boot, name))
    for name in ("kernel_arguments", "hypervisor_arguments"):
        problems.take(name, parse_line, getattr(boot, name))
    if boot.kind is not BootKind.CHAINLOAD and not boot.kernel_path:
        problems.add("kernel_path", f"must be named to boot by {boot.kind}")
    for name in ("kernel_path", "initrd_path", "kernel_arguments", "hypervisor_path", "hypervisor_arguments"):
        if boot.kind is BootKind.CHAINLOAD and getattr(boot, name):
            problems.add(name, "means nothing with chainload: the partition's own loader decides")
    if boot.kind is BootKind.LINUX and environment.operating_system is OperatingSystem.XEN:
        problems.add("hypervisor_path", "must be named for the operating system xen, which boots by multiboot")
    if boot.kind is BootKind.MULTIBOOT and not boot.hypervisor_path:
        problems.add("hypervisor_path", "must be named to boot by multiboot")
    elif boot.kind is BootKind.LINUX and (boot.hypervisor_path or boot.hypervisor_arguments):
        problems.add("hypervisor_path", "is for multiboot alone")
