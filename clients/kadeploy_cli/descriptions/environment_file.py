"""An environment as Kadeploy 2 described it, by options or by a file of `key = value` lines."""

from collections.abc import Callable, Mapping
from pathlib import Path

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions.problem_list import ProblemList
from kadeploy_cli.descriptions.settings_file import Setting
from kadeploy_cli.descriptions.text import shown
from kadeploy_cli.terminal.failures import UsageFailure

MEBIBYTE = 1 << 20
CHAINLOAD = "chainload"
MULTIBOOT = "mboot.c32"
LINUX_TYPE = 0x83
MAXIMUM_VERSION = (1 << 31) - 1
MAXIMUM_MEBIBYTES = 1 << 40
DEFAULT_FILE_SYSTEM = "ext4"
DEFAULT_POSTINSTALL_SCRIPT = "traitement.ash"

VISIBILITIES = {
    "private": environment_pb2.VISIBILITY_PRIVATE,
    "shared": environment_pb2.VISIBILITY_SHARED,
    "public": environment_pb2.VISIBILITY_PUBLIC,
}

ReadImage = Callable[[str, Path, None], environment_pb2.Image]
ReadArchive = Callable[[str, Path, str], environment_pb2.ScriptArchive]


def build(
    settings: Mapping[str, Setting],
    *,
    owner: str,
    directory: Path,
    read_image: ReadImage,
    read_archive: ReadArchive,
) -> environment_pb2.Environment:
    """Returns the environment that the settings describe.

    Args:
        settings: by the keys of the classic file.
        owner: empty for the caller.
        directory: what relative paths of files are relative to.
        read_image: takes digest and size of the image.
        read_archive: the same for the post-install archive.
    """
    problems = ProblemList()
    for required in ("name", "kernelpath", "filebase"):
        if not _text(settings, required):
            problems.add(UsageFailure(f"the environment has no {required}", advice=_option_advice(required)))
    take = problems.take
    environment = environment_pb2.Environment(
        name=_text(settings, "name"),
        version=take(lambda: _number(settings, "version", 1, maximum=MAXIMUM_VERSION), 1),
        owner=owner,
        description=_text(settings, "description"),
        author=_text(settings, "author"),
        visibility=take(lambda: _visibility(settings), environment_pb2.VISIBILITY_PRIVATE),
        boot=take(lambda: _boot(settings), environment_pb2.BootSpec()),
        partition_type_id=take(lambda: _partition_type(settings), LINUX_TYPE),
        required_size_bytes=take(lambda: _number(settings, "size", 0, maximum=MAXIMUM_MEBIBYTES), 0) * MEBIBYTE,
        options=_text(settings, "optsupport"),
        cluster=_text(settings, "cluster"),
    )
    problems.raise_found()
    xen = environment.boot.kind == environment_pb2.BOOT_KIND_MULTIBOOT
    environment.operating_system = (
        environment_pb2.OPERATING_SYSTEM_XEN if xen else environment_pb2.OPERATING_SYSTEM_LINUX
    )
    environment.image.CopyFrom(read_image(_text(settings, "filebase"), directory, None))
    raw = environment.image.kind == environment_pb2.IMAGE_KIND_DD
    environment.file_system = _text(settings, "filesystem") or ("" if raw else DEFAULT_FILE_SYSTEM)
    archive = _text(settings, "filesite")
    if archive:
        script = _text(settings, "script") or DEFAULT_POSTINSTALL_SCRIPT
        environment.postinstalls.append(read_archive(archive, directory, script))
    return environment


def check_overrides(settings: Mapping[str, Setting]) -> None:
    """Raises UsageFailure unless the values of options for version and visibility can be accepted."""
    _number(settings, "version", 1, maximum=MAXIMUM_VERSION)
    _visibility(settings)


def _text(settings: Mapping[str, Setting], key: str) -> str:
    return settings[key].value if key in settings else ""


def _number(settings: Mapping[str, Setting], key: str, default: int, *, maximum: int) -> int:
    word = _text(settings, key)
    if not word:
        return default
    if not (word.isascii() and word.isdigit() and len(word) <= 15 and default <= int(word) <= maximum):  # noqa: PLR2004
        raise settings[key].failure(f"{key} is a whole number from {default} to {maximum}, not {shown(word)}")
    return int(word)


def _visibility(settings: Mapping[str, Setting]) -> "environment_pb2.Visibility.ValueType":
    word = _text(settings, "visibility") or "private"
    if word not in VISIBILITIES:
        raise settings["visibility"].failure(f"visibility is one of {', '.join(VISIBILITIES)}, not {shown(word)}")
    return VISIBILITIES[word]


def _partition_type(settings: Mapping[str, Setting]) -> int:
    word = _text(settings, "fdisktype").lower().removeprefix("0x")
    if not word:
        return LINUX_TYPE
    if not (1 <= len(word) <= 2 and all(letter in "0123456789abcdef" for letter in word)):  # noqa: PLR2004
        raise settings["fdisktype"].failure(f"fdisktype is a byte in hex such as 83, not {shown(word)}")
    return int(word, 16)


def _boot(settings: Mapping[str, Setting]) -> environment_pb2.BootSpec:
    kernel, initrd = _text(settings, "kernelpath"), _text(settings, "initrdpath")
    arguments = _text(settings, "kernelparam")
    if kernel == CHAINLOAD:
        return environment_pb2.BootSpec(kind=environment_pb2.BOOT_KIND_CHAINLOAD)
    if kernel == MULTIBOOT:
        return _multiboot(settings, arguments)
    return environment_pb2.BootSpec(
        kind=environment_pb2.BOOT_KIND_LINUX, kernel_path=kernel, initrd_path=initrd, kernel_arguments=arguments
    )


def _multiboot(settings: Mapping[str, Setting], arguments: str) -> environment_pb2.BootSpec:
    """Reads "hypervisor args --- kernel args --- initrd", as it was written in the place of the initrd."""
    parts = [part.split(maxsplit=1) for part in _text(settings, "initrdpath").split("---")]
    if not 2 <= len(parts) <= 3 or not all(parts):  # noqa: PLR2004
        raise UsageFailure(
            f'with kernelpath {MULTIBOOT}, initrdpath is "HYPERVISOR [arguments] --- KERNEL [arguments] --- INITRD"'
        )
    paths = [part[0] for part in parts]
    given = [part[1].strip() if len(part) > 1 else "" for part in parts]
    return environment_pb2.BootSpec(
        kind=environment_pb2.BOOT_KIND_MULTIBOOT,
        hypervisor_path=paths[0],
        hypervisor_arguments=given[0],
        kernel_path=paths[1],
        kernel_arguments=given[1] or arguments,
        initrd_path=paths[2] if len(paths) > 2 else "",  # noqa: PLR2004
    )


def _option_advice(key: str) -> str:
    option = {"name": "-n", "kernelpath": "-k", "filebase": "-fb"}[key]
    return f'Give it with {option}, or write "{key} = …" in the description file.'
