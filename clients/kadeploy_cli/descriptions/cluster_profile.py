"""The profile of a cluster as a YAML file: how its nodes are handled. docs/commands.md describes every key."""

import shlex
from collections.abc import Callable
from pathlib import Path

from google.protobuf.duration_pb2 import Duration

from kadeploy.inventory.v1 import cluster_pb2, command_template_pb2, environment_pb2
from kadeploy_cli.descriptions import yaml_text
from kadeploy_cli.descriptions.power_driver import read_power_driver
from kadeploy_cli.descriptions.yaml_text import Place

MAXIMUM_PARTITION = 128
LEVELS = {
    "soft": cluster_pb2.REBOOT_LEVEL_SOFT,
    "hard": cluster_pb2.REBOOT_LEVEL_HARD,
    "very_hard": cluster_pb2.REBOOT_LEVEL_VERY_HARD,
}
BOOT_METHODS = {
    "network": cluster_pb2.BOOT_METHOD_NETWORK,
    "grub": cluster_pb2.BOOT_METHOD_GRUB,
    "chainload": cluster_pb2.BOOT_METHOD_CHAINLOAD,
    "kexec": cluster_pb2.BOOT_METHOD_KEXEC,
}
COMMANDS = tuple(field.name for field in command_template_pb2.CommandTemplates.DESCRIPTOR.fields)
# As the inventory calls them.
SENT_AS = {"power": "power_driver"}
DEFAULT_PREINSTALL_SCRIPT = "init.ash"

ReadArchive = Callable[[str, Path, str], environment_pb2.ScriptArchive]


def parse(
    text: str, source: str, *, directory: Path, read_archive: ReadArchive
) -> tuple[cluster_pb2.ClusterProfile, list[str]]:
    """Reads a profile.

    Args:
        text: the file's content.
        source: how errors call it.
        directory: what a relative path of an archive is relative to.
        read_archive: takes digest and size of the pre-install archive.

    Returns:
        The profile, and the names of the fields that the file mentions.
    """
    readers: dict[str, Callable[[cluster_pb2.ClusterProfile, Place], None]] = {
        "first_check_timeout": lambda p, v: p.first_check_timeout.CopyFrom(_duration(v)),
        "last_check_timeout": lambda p, v: p.last_check_timeout.CopyFrom(_duration(v)),
        "step_policies": _step_policies,
        "reboot_window": _reboot_window,
        "commands": lambda p, v: p.commands.CopyFrom(commands(v)),
        "reboot_ladder": lambda p, v: p.reboot_ladder.extend(LEVELS[i.choice(tuple(LEVELS))] for i in v.items()),
        "deployment_kernel_label": lambda p, v: setattr(p, "deployment_kernel_label", v.text()),
        "deployment_kernel_arguments": lambda p, v: setattr(p, "deployment_kernel_arguments", v.text()),
        "kernel_arguments": lambda p, v: setattr(p, "kernel_arguments", v.text()),
        "mkfs_options": lambda p, v: p.mkfs_options.update({key: item.text() for key, item in v.entries()}),
        "preinstall": lambda p, v: p.preinstall.CopyFrom(_preinstall(v, directory, read_archive)),
        "default_environment": lambda p, v: p.default_environment.CopyFrom(_default_environment(v)),
        "default_device": lambda p, v: setattr(p, "default_device", v.text().removeprefix("/dev/")),
        "default_partition": lambda p, v: setattr(p, "default_partition", v.number(1, MAXIMUM_PARTITION)),
        "partition_on_deploy": lambda p, v: setattr(p, "partition_on_deploy", v.boolean()),
        "power": lambda p, v: p.power_driver.CopyFrom(read_power_driver(v)),
        "power_group_label": lambda p, v: setattr(p, "power_group_label", v.text()),
        "group_commands": lambda p, v: p.group_commands.extend(i.text() for i in v.items()),
        "bmc_address": lambda p, v: setattr(p, "bmc_address", v.text()),
        "boot_method": lambda p, v: setattr(p, "boot_method", BOOT_METHODS[v.choice(tuple(BOOT_METHODS))]),
    }
    profile = cluster_pb2.ClusterProfile()
    fields = yaml_text.parse(text, source).fields(tuple(readers))
    for name, value in fields.items():
        # A key with nothing behind it takes away what stood there.
        if value.is_empty:
            continue
        readers[name](profile, value)
    return profile, [SENT_AS.get(name, name) for name in fields]


def parse_commands(text: str, source: str) -> command_template_pb2.CommandTemplates:
    """Reads a file that has command templates alone, for one node."""
    return commands(yaml_text.parse(text, source))


def commands(value: Place) -> command_template_pb2.CommandTemplates:
    """Returns the command templates of a mapping: each a list of arguments, or one line split at blanks."""
    templates = command_template_pb2.CommandTemplates()
    for name, command in value.fields(COMMANDS).items():
        arguments = [item.text() for item in command.items()] if command.is_list else _split(command)
        getattr(templates, name).arguments.extend(arguments)
    return templates


def _split(command: Place) -> list[str]:
    try:
        return shlex.split(command.text())
    except ValueError as error:
        raise command.failure(f"the line cannot be split into arguments: {error}") from None


def _duration(value: Place) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(value.seconds() * 1e9))
    return duration


def _step_policies(profile: cluster_pb2.ClusterProfile, value: Place) -> None:
    for step, policy in value.entries():
        fields = policy.fields(("timeout", "retries"))
        built = profile.step_policies.add(step=step)
        if "timeout" in fields:
            built.timeout.CopyFrom(_duration(fields["timeout"]))
        if "retries" in fields:
            built.retries = fields["retries"].number(0, 100)


def _reboot_window(profile: cluster_pb2.ClusterProfile, value: Place) -> None:
    fields = value.fields(("size", "pause"))
    profile.reboot_window.SetInParent()
    if "size" in fields:
        profile.reboot_window.size = fields["size"].number(1, 100_000)
    if "pause" in fields:
        profile.reboot_window.pause.CopyFrom(_duration(fields["pause"]))


def _preinstall(value: Place, directory: Path, read_archive: ReadArchive) -> environment_pb2.ScriptArchive:
    fields = value.fields(("archive", "script"))
    if "archive" not in fields:
        raise value.failure("archive is missing: the file with the script in it")
    script = fields["script"].text() if "script" in fields else DEFAULT_PREINSTALL_SCRIPT
    return read_archive(fields["archive"].text(), directory, script)


def _default_environment(value: Place) -> cluster_pb2.DefaultEnvironment:
    fields = value.fields(("name", "version", "owner", "device", "partition"))
    if "name" not in fields:
        raise value.failure("name is missing: the environment to boot")
    built = cluster_pb2.DefaultEnvironment()
    built.environment.name = fields["name"].text()
    if "version" in fields:
        built.environment.version = fields["version"].number(1, (1 << 31) - 1)
    if "owner" in fields:
        built.environment.owner = fields["owner"].text()
    if "device" in fields:
        built.device = fields["device"].text().removeprefix("/dev/")
    if "partition" in fields:
        built.partition = fields["partition"].number(1, MAXIMUM_PARTITION)
    return built
