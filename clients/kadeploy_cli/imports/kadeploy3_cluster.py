"""The file of one cluster of Kadeploy 3 as a profile."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kadeploy.inventory.v1 import cluster_pb2
from kadeploy_cli.descriptions.yaml_text import Place
from kadeploy_cli.environments import image_files
from kadeploy_cli.imports.command_lines import template
from kadeploy_cli.imports.plan import ImportPlan, Profile
from kadeploy_cli.terminal.failures import UsageFailure

PLACES = {"HOSTNAME_FQDN": "{name}", "HOSTNAME_SHORT": "{node_short}"}
CONNECTOR = "DEFAULT_CONNECTOR"
GROUPS = ("GROUP_FQDN", "GROUP_SHORT")
LEVELS = {"soft": "soft_reboot", "hard": "hard_reboot", "very_hard": "very_hard_reboot"}
HARDNESS = ("soft", "hard", "very_hard")
NO_COUNTERPART: Mapping[str, str] = {
    "partitioning.disable_swap": "the inventory has the partitions of each disk",
    "partitioning.script": "sfdisk writes the partition table of the inventory",
    "partitioning.partitions.swap": "the inventory has the partitions and their roles",
    "partitioning.partitions.prod": "the inventory has the partitions and their roles",
    "partitioning.partitions.tmp": "the inventory has the partitions and their roles",
    "boot.sleep_time_before_ping": "a reboot is known by the boot id; nothing sleeps",
    "boot.install_bootloader": "the network boots the new system, or GRUB from the network",
    "boot.kernels.deploy.vmlinuz": "the deployment environment is built anew (kadeploy-deployenv)",
    "boot.kernels.deploy.initrd": "the deployment environment is built anew (kadeploy-deployenv)",
    "boot.kernels.deploy.drivers": "udev loads the drivers of a node",
    "boot.kernels.deploy.supported_fs": "the deployment environment knows its file systems",
    "boot.kernels.nfsroot": "nodes are not deployed from an NFS root",
    "localops": "images reach the nodes along a chain of our own",
    "postinstall": "environments name their post-install archives: add those of the cluster to each",
    "kexec": "the deployment environment has its own place for kernels",
    "pxe": "bootctl writes the boot files",
    "hooks": "no hook of the cluster is run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What server.conf says for all clusters. `window`: nodes that reboot at once; 0 and no pause: the defaults."""

    connector: str
    window: int = 0
    pause: float | None = None
    mkfs: Mapping[str, str] = field(default_factory=dict)

    def expanded(self, command: str) -> str:
        """Returns a command with the connector's words in it."""
        if any(word in command for word in GROUPS):
            raise UsageFailure("the command works on a group of nodes, which share a supply: name the nodes of it")
        return command.replace(CONNECTOR, self.connector)


def read(found: ImportPlan, file: Place, profile: Profile, shared: Shared) -> None:
    """Puts a cluster's file into its profile, and notes what has no counterpart."""
    message = profile.message
    if shared.window:
        message.reboot_window.size = shared.window
        profile.said("reboot_window")
    if shared.pause is not None:
        message.reboot_window.pause.FromNanoseconds(int(shared.pause * 1e9))
        profile.said("reboot_window")
    if shared.mkfs:
        message.mkfs_options.update(shared.mkfs)
        profile.said("mkfs_options")
    readers: Mapping[str, Callable[[Place], None]] = {
        "partitioning.block_device": lambda value: _device(profile, value),
        "partitioning.partitions.deploy": lambda value: _partition(profile, value),
        "boot.kernels.user.params": lambda value: _text(profile, "kernel_arguments", value),
        "boot.kernels.deploy.params": lambda value: _text(profile, "deployment_kernel_arguments", value),
        "remoteops": lambda value: _commands(found, profile, value, shared),
        "preinstall": lambda value: _preinstall(found, profile, value),
        "automata": lambda value: _automata(found, profile, value),
        "timeouts": lambda value: _timeouts(found, profile, value),
    }
    for key, value in file.entries():
        _walk(found, key, value, readers)


def _walk(found: ImportPlan, path: str, value: Place, readers: Mapping[str, Callable[[Place], None]]) -> None:
    if path in readers:
        readers[path](value)
    elif path in NO_COUNTERPART:
        found.notice(f"{value.source}, line {value.line}: {path}", NO_COUNTERPART[path])
    elif value.is_mapping and any(name.startswith(f"{path}.") for name in (*readers, *NO_COUNTERPART)):
        for key, below in value.entries():
            _walk(found, f"{path}.{key}", below, readers)
    else:
        found.notice(f"{value.source}, line {value.line}: {path}", "is not known")


def _device(profile: Profile, value: Place) -> None:
    profile.message.default_device = value.text().removeprefix("/dev/")
    profile.said("default_device")


def _partition(profile: Profile, value: Place) -> None:
    profile.message.default_partition = value.number(1, 128)
    profile.said("default_partition")


def _text(profile: Profile, name: str, value: Place) -> None:
    setattr(profile.message, name, value.text())
    profile.said(name)


def _commands(found: ImportPlan, profile: Profile, value: Place, shared: Shared) -> None:
    fields = value.fields(("reboot", "power_on", "power_off", "power_status", "console"))
    for kind, place in fields.items():
        given: dict[str, Place] = {}
        for each in place.items():
            parts = each.fields(("name", "cmd", "group"))
            level = parts["name"].text() if "name" in parts else "hard"
            where = f"{each.source}, line {each.line}: remoteops.{kind}"
            if "group" in parts:
                found.notice(where, "the command works on a group of nodes, which share a supply: it is left out")
            elif "cmd" in parts:
                given[level] = parts["cmd"]
        for level, name in _chosen(kind, given).items():
            text = given[level].text()
            where = f"{given[level].source}, line {given[level].line}: remoteops.{kind}"
            arguments = found.attempt(where, lambda text=text: template(shared.expanded(text), PLACES))  # type: ignore[misc]
            if arguments is not None:
                getattr(profile.message.commands, name).arguments[:] = arguments
                profile.said("commands")


def _chosen(kind: str, given: Mapping[str, Place]) -> dict[str, str]:
    """Returns which level of a command becomes which template: of power, the hard one, else what there is."""
    if kind == "reboot":
        return {level: LEVELS[level] for level in given if level in LEVELS}
    for level in ("hard", "soft", "very_hard", *given):
        if level in given:
            return {level: kind}
    return {}


def _preinstall(found: ImportPlan, profile: Profile, value: Place) -> None:
    for number, each in enumerate(value.fields(("files",))["files"].items()):
        parts = each.fields(("file", "format", "script"))
        where = f"{each.source}, line {each.line}: preinstall"
        if number:
            found.notice(where, "a cluster has one pre-install archive: this one is left out")
            continue
        script = parts["script"].text() if "script" in parts else "init.ash"
        archive = found.attempt(
            where,
            lambda parts=parts, script=script: image_files.script_archive(parts["file"].text(), Path("/"), script),  # type: ignore[misc]
        )
        if archive is not None:
            profile.message.preinstall.CopyFrom(archive)
            profile.said("preinstall")


def _automata(found: ImportPlan, profile: Profile, value: Place) -> None:
    """Takes the boot by kexec out of the automaton: the rest of it is the deployer's own."""
    steps = value.fields(("macrosteps",)).get("macrosteps")
    for name, instances in steps.entries() if steps else ():
        listed = instances.items()
        kinds = [dict(each.entries())["type"].text() for each in listed]
        where = f"{instances.source}, line {instances.line}: automata.{name}"
        if name == "BootNewEnv" and kinds[:1] == ["Kexec"]:
            profile.message.boot_method = cluster_pb2.BOOT_METHOD_KEXEC
            profile.said("boot_method")
        found.notice(where, "timeouts and retries are those of step_policies and of the reboot ladder here")


def _timeouts(found: ImportPlan, profile: Profile, value: Place) -> None:
    for key, timeout in value.entries():
        where, text = f"{timeout.source}, line {timeout.line}: timeouts.{key}", timeout.text()
        if key != "reboot":
            found.notice(where, "a boot by kexec has the time of last_check_timeout")
        elif not (text.isascii() and text.isdigit() and int(text)):
            found.notice(
                where, f"{text!r} grows with the nodes: write seconds as first_check_timeout and last_check_timeout"
            )
        else:
            profile.message.first_check_timeout.FromSeconds(int(text))
            profile.message.last_check_timeout.FromSeconds(int(text))
            profile.said("first_check_timeout", "last_check_timeout")
