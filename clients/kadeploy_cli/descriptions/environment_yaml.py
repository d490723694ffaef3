"""An environment as Kadeploy 3 described it, in YAML. docs/commands.md describes every key."""

from collections.abc import Callable, Mapping
from pathlib import Path

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions import yaml_text
from kadeploy_cli.descriptions.cluster_profile import DEFAULT_PREINSTALL_SCRIPT
from kadeploy_cli.descriptions.environment_file import (
    DEFAULT_POSTINSTALL_SCRIPT,
    LINUX_TYPE,
    MAXIMUM_MEBIBYTES,
    MAXIMUM_VERSION,
    MEBIBYTE,
    VISIBILITIES,
)
from kadeploy_cli.descriptions.yaml_text import Place
from kadeploy_cli.environments.image_files import Kind, kind_by_suffix

KEYS = (
    "name",
    "version",
    "description",
    "author",
    "visibility",
    "destructive",
    "os",
    "image",
    "preinstall",
    "postinstalls",
    "boot",
    "filesystem",
    "partition_type",
    "multipart",
    "options",
    # Words that Kadeploy 3 had no key for.
    "user",
    "cluster",
    "size",
    "optsupport",
)
SYSTEMS = {
    "linux": environment_pb2.OPERATING_SYSTEM_LINUX,
    "xen": environment_pb2.OPERATING_SYSTEM_XEN,
    "other": environment_pb2.OPERATING_SYSTEM_OTHER,
}
KINDS = {"tar": environment_pb2.IMAGE_KIND_TAR, "dd": environment_pb2.IMAGE_KIND_DD}
COMPRESSIONS = {
    "none": environment_pb2.COMPRESSION_NONE,
    "gzip": environment_pb2.COMPRESSION_GZIP,
    "bzip2": environment_pb2.COMPRESSION_BZIP2,
    "xz": environment_pb2.COMPRESSION_XZ,
    "zstd": environment_pb2.COMPRESSION_ZSTD,
}
BOOT_KEYS = ("kernel", "initrd", "kernel_params", "hypervisor", "hypervisor_params", "block_device", "partition")
# Kadeploy 3 handed on where it had unpacked the archive; here every script gets that as its argument.
RAMBIN = "/rambin"
SEVERAL = "environments of several partitions are not offered: record one for each partition"
MAXIMUM_POSTINSTALLS = 16

ReadImage = Callable[[str, Path, Kind | None], environment_pb2.Image]
ReadArchive = Callable[[str, Path, str, "environment_pb2.Compression.ValueType | None"], environment_pb2.ScriptArchive]


def parse(  # noqa: PLR0917
    text: str,
    source: str,
    overrides: Mapping[str, str],
    directory: Path,
    read_image: ReadImage,
    read_archive: ReadArchive,
) -> environment_pb2.Environment:
    """Reads a description; everything is checked before the first file is read.

    Args:
        text: the file's content.
        source: how errors call it.
        overrides: values of options, which win over the file: name, version, visibility, and filebase for the image.
        directory: what relative paths of files are relative to.
        read_image: takes digest and size of the image.
        read_archive: the same for archives of scripts.
    """
    root = yaml_text.parse(text, source)
    fields = root.fields(KEYS)
    for needed, option in (("name", "name"), ("os", ""), ("image", "filebase")):
        if needed not in fields and option not in overrides:
            raise root.failure(f"{needed} is missing")
    if ("multipart" in fields and fields["multipart"].boolean()) or "options" in fields:
        raise (fields.get("options") or fields["multipart"]).failure(SEVERAL)
    environment = environment_pb2.Environment(
        name=_text(fields, "name"),
        version=fields["version"].number(1, MAXIMUM_VERSION) if "version" in fields else 1,
        owner=_text(fields, "user"),
        description=_text(fields, "description"),
        author=_text(fields, "author"),
        visibility=VISIBILITIES[_choice(fields, "visibility", tuple(VISIBILITIES), "private")],
        operating_system=SYSTEMS[_choice(fields, "os", tuple(SYSTEMS), "linux")],
        destructive=fields["destructive"].boolean() if "destructive" in fields else False,
        file_system=_text(fields, "filesystem"),
        partition_type_id=fields["partition_type"].number(1, 0xFF) if "partition_type" in fields else LINUX_TYPE,
        required_size_bytes=_mebibytes(fields) * MEBIBYTE,
        options=_text(fields, "optsupport"),
        cluster=_text(fields, "cluster"),
    )
    _override(environment, overrides)
    image, kind = _image(fields, overrides)
    environment.boot.CopyFrom(_boot(root, fields, kind, environment.operating_system))
    if kind[0] == environment_pb2.IMAGE_KIND_TAR and not environment.file_system:
        raise root.failure("filesystem is missing: a tar image is unpacked into a fresh one, such as ext4")
    before = _archive(fields["preinstall"], DEFAULT_PREINSTALL_SCRIPT) if _is_given(fields, "preinstall") else None
    places = fields["postinstalls"].items() if _is_given(fields, "postinstalls") else []
    if len(places) > MAXIMUM_POSTINSTALLS:
        raise fields["postinstalls"].failure(f"there are at most {MAXIMUM_POSTINSTALLS}")
    after = [_archive(place, DEFAULT_POSTINSTALL_SCRIPT) for place in places]
    environment.image.CopyFrom(read_image(image, directory, kind))
    if before:
        environment.preinstall.CopyFrom(read_archive(before[0], directory, before[1], before[2]))
    for name, script, compression in after:
        environment.postinstalls.append(read_archive(name, directory, script, compression))
    return environment


def _is_given(fields: Mapping[str, Place], key: str) -> bool:
    return key in fields and not fields[key].is_empty


def _text(fields: Mapping[str, Place], key: str) -> str:
    return fields[key].text() if key in fields else ""


def _choice(fields: Mapping[str, Place], key: str, words: tuple[str, ...], default: str) -> str:
    return fields[key].choice(words) if key in fields else default


def _mebibytes(fields: Mapping[str, Place]) -> int:
    return fields["size"].number(0, MAXIMUM_MEBIBYTES) if "size" in fields else 0


def _override(environment: environment_pb2.Environment, overrides: Mapping[str, str]) -> None:
    """Puts in what options say; they were checked where they were typed."""
    if "name" in overrides:
        environment.name = overrides["name"]
    if "version" in overrides:
        environment.version = int(overrides["version"])
    if "visibility" in overrides:
        environment.visibility = VISIBILITIES[overrides["visibility"]]


def _image(fields: Mapping[str, Place], overrides: Mapping[str, str]) -> tuple[str, Kind]:
    """Returns the image's file and what it is; that of an option counts, what the description says is checked too."""
    if "filebase" not in overrides:
        return _described_image(fields["image"])
    if "image" in fields:
        _described_image(fields["image"])
    return overrides["filebase"], kind_by_suffix(overrides["filebase"])


def _described_image(place: Place) -> tuple[str, Kind]:
    fields = place.fields(("file", "kind", "compression"))
    for needed in ("file", "kind", "compression"):
        if needed not in fields:
            raise place.failure(f"{needed} is missing: an image has file, kind and compression")
    if fields["kind"].text() == "fsa":
        raise fields["kind"].failure("fsa images are not offered; tar and dd are")
    kind = KINDS[fields["kind"].choice(tuple(KINDS))]
    return _file(fields["file"]), (kind, COMPRESSIONS[fields["compression"].choice(tuple(COMPRESSIONS))])


def _archive(place: Place, default_script: str) -> "tuple[str, str, environment_pb2.Compression.ValueType | None]":
    fields = place.fields(("archive", "compression", "script"))
    if "archive" not in fields:
        raise place.failure("archive is missing: the file with the script in it")
    script = _text(fields, "script").removesuffix(f" {RAMBIN}").strip() or default_script
    if len(script.split()) > 1:
        raise fields["script"].failure("one path inside the archive is expected; it gets the directory as argument")
    compression = None
    if "compression" in fields:
        compression = COMPRESSIONS[fields["compression"].choice(tuple(COMPRESSIONS))]
    return _file(fields["archive"]), script, compression


def _file(place: Place) -> str:
    name = place.text()
    if not name:
        raise place.failure("a path or an address of a file is expected")
    return name


def _boot(
    root: Place,
    fields: Mapping[str, Place],
    kind: Kind,
    system: "environment_pb2.OperatingSystem.ValueType",
) -> environment_pb2.BootSpec:
    boot = fields["boot"].fields(BOOT_KEYS) if _is_given(fields, "boot") else {}
    for key in ("block_device", "partition"):
        if key in boot:
            raise boot[key].failure(SEVERAL)
    place = fields.get("boot", root)
    kernel = _text(boot, "kernel")
    if not kernel:
        if kind[0] == environment_pb2.IMAGE_KIND_TAR:
            raise place.failure("kernel is missing: a tar image names the kernel that is in it")
        if system == environment_pb2.OPERATING_SYSTEM_XEN:
            raise place.failure("kernel is missing: xen starts a hypervisor with a kernel")
        for key in boot:
            raise boot[key].failure("means nothing without a kernel: the partition's own loader decides")
        return environment_pb2.BootSpec(kind=environment_pb2.BOOT_KIND_CHAINLOAD)
    built = environment_pb2.BootSpec(
        kind=environment_pb2.BOOT_KIND_LINUX,
        kernel_path=kernel,
        initrd_path=_text(boot, "initrd"),
        kernel_arguments=_text(boot, "kernel_params"),
    )
    if system == environment_pb2.OPERATING_SYSTEM_XEN:
        if not _text(boot, "hypervisor"):
            raise place.failure("hypervisor is missing: xen needs it")
        built.kind = environment_pb2.BOOT_KIND_MULTIBOOT
        built.hypervisor_path = _text(boot, "hypervisor")
        built.hypervisor_arguments = _text(boot, "hypervisor_params")
    elif "hypervisor" in boot or "hypervisor_params" in boot:
        raise place.failure("a hypervisor is for os: xen alone")
    return built
