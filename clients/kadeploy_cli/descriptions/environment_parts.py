"""The parts of an environment's description in YAML: its image, its archives of scripts, and how it boots."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions.environment_words import CHAINLOAD, COMPRESSIONS, KINDS, NO_SCRIPT, RAMBIN
from kadeploy_cli.descriptions.problem_list import ProblemList
from kadeploy_cli.descriptions.yaml_text import Place
from kadeploy_cli.environments.image_files import Kind

BOOT_KEYS = ("kernel", "initrd", "kernel_params", "hypervisor", "hypervisor_params", "block_device", "partition")
SEVERAL = "environments of several partitions are not offered: record one for each partition"
MAXIMUM_PARTITION = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedArchive:
    """An archive of scripts as its description names it. `compression`: None where its suffix says it."""

    file: str
    compression: "environment_pb2.Compression.ValueType | None"
    script: str
    arguments: tuple[str, ...] = ()


def read_image(place: Place, problems: ProblemList) -> tuple[str, Kind | None]:
    """Returns the image's file and what it is, None where that is not said well."""
    fields = place.fields(("file", "kind", "compression"), problems)
    for needed in ("file", "kind", "compression"):
        if needed not in fields:
            problems.add(place.failure(f"{needed} is missing: an image has file, kind and compression"))
    name = problems.take(lambda: read_file_name(fields["file"]), "") if "file" in fields else ""
    if "kind" not in fields or "compression" not in fields:
        return name, None
    kind = problems.take(lambda: KINDS[_image_kind(fields["kind"])], None)
    compression = problems.take(lambda: COMPRESSIONS[fields["compression"].choice(tuple(COMPRESSIONS))], None)
    return name, None if kind is None or compression is None else (kind, compression)


def _image_kind(place: Place) -> str:
    if place.text() == "fsa":
        raise place.failure("fsa images are not offered; tar and dd are")
    return place.choice(tuple(KINDS))


def read_archive(place: Place, problems: ProblemList) -> DescribedArchive:
    """Returns an archive of scripts; without a script nothing of it is run."""
    fields = place.fields(("archive", "compression", "script"), problems)
    name = ""
    if "archive" in fields:
        name = problems.take(lambda: read_file_name(fields["archive"]), "")
    else:
        problems.add(place.failure("archive is missing: the file with the script in it"))
    compression = None
    if "compression" in fields:
        compression = problems.take(lambda: COMPRESSIONS[fields["compression"].choice(tuple(COMPRESSIONS))], None)
    script, arguments = NO_SCRIPT, tuple[str, ...]()
    if "script" in fields:
        script, arguments = problems.take(lambda: read_script(fields["script"]), (script, arguments))
    return DescribedArchive(file=name, compression=compression, script=script, arguments=arguments)


def read_script(place: Place) -> tuple[str, tuple[str, ...]]:
    """Returns a script and its arguments, which stand behind it as a shell would read them."""
    return split_script(place, place.text())


def split_script(place: Place, text: str) -> tuple[str, tuple[str, ...]]:
    """Returns the script and the arguments of a text. `place`: where it stands."""
    try:
        words = shlex.split(text)
    except ValueError:
        raise place.failure("has a quote without its end") from None
    if not words or not words[0]:
        return NO_SCRIPT, ()
    if words[0] == NO_SCRIPT and len(words) > 1:
        raise place.failure(f"{NO_SCRIPT} runs nothing, so it takes no arguments")
    return words[0], () if words[1:] == [RAMBIN] else tuple(words[1:])


def read_file_name(place: Place) -> str:
    """Returns the path or the address of a file."""
    name = place.text()
    if not name:
        raise place.failure("a path or an address of a file is expected")
    return name


def read_boot(
    place: Place,
    fields: Mapping[str, Place],
    image: environment_pb2.Image,
    system: "environment_pb2.OperatingSystem.ValueType",
    problems: ProblemList,
) -> environment_pb2.BootSpec:
    """Returns how a system boots.

    Args:
        place: of the whole, for what is missing.
        fields: by BOOT_KEYS.
        image: its kind, and whether it is of a whole disk.
        system: what it is.
        problems: gets what cannot be accepted.
    """

    def text(key: str) -> str:
        return problems.take(fields[key].text, "") if key in fields else ""

    boot = environment_pb2.BootSpec(kind=environment_pb2.BOOT_KIND_CHAINLOAD)
    if "partition" in fields and image.whole_disk:
        boot.partition = problems.take(lambda: fields["partition"].number(1, MAXIMUM_PARTITION), 0)
    for key in ("block_device", "partition"):
        if key in fields and not image.whole_disk:
            problems.add(fields[key].failure(SEVERAL))
    kernel = text("kernel")
    if kernel in {"", CHAINLOAD}:
        _check_own_loader(place, fields, image, system, problems)
        return boot
    boot.kernel_path = kernel
    boot.kind = environment_pb2.BOOT_KIND_LINUX
    boot.initrd_path, boot.kernel_arguments = text("initrd"), text("kernel_params")
    if image.whole_disk and not boot.partition:
        problems.add(place.failure("partition is missing: the one on the whole disk that holds the kernel"))
    boot.hypervisor_path, boot.hypervisor_arguments = text("hypervisor"), text("hypervisor_params")
    xen = system == environment_pb2.OPERATING_SYSTEM_XEN
    if xen:
        boot.kind = environment_pb2.BOOT_KIND_MULTIBOOT
    if xen and not boot.hypervisor_path:
        problems.add(place.failure("hypervisor is missing: xen needs it"))
    if not xen and (boot.hypervisor_path or boot.hypervisor_arguments):
        problems.add(place.failure("a hypervisor is for os: xen alone"))
    return boot


def _check_own_loader(
    place: Place,
    fields: Mapping[str, Place],
    image: environment_pb2.Image,
    system: "environment_pb2.OperatingSystem.ValueType",
    problems: ProblemList,
) -> None:
    """Adds what speaks against a system without a kernel, which its partition's own loader starts."""
    if "kernel" in fields and fields["kernel"].text() == CHAINLOAD:
        pass
    elif image.kind == environment_pb2.IMAGE_KIND_TAR:
        problems.add(place.failure("kernel is missing: a tar image names the kernel that is in it"))
    elif system == environment_pb2.OPERATING_SYSTEM_XEN:
        problems.add(place.failure("kernel is missing: xen starts a hypervisor with a kernel"))
    for key in fields:
        if key not in {"block_device", "partition", "kernel"} and not fields[key].is_empty:
            means = "means nothing without a kernel: the partition's own loader decides"
            problems.add(fields[key].failure(means))
