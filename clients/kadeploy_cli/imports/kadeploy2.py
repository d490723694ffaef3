"""A site of Kadeploy 2: deploy.conf, deploy_cmd.conf, deploy_cluster.conf and dumps of its two databases."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kadeploy.inventory.v1 import cluster_pb2
from kadeploy_cli.descriptions.text import Line, decode, lines
from kadeploy_cli.environments import image_files
from kadeploy_cli.imports import kadeploy2_database, site_commands
from kadeploy_cli.imports.command_lines import template
from kadeploy_cli.imports.plan import ImportPlan, Profile
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal.failures import UsageFailure

DEFAULT = "default"
DEPLOY_USER = "deploy"
SERVICES = "the settings of the services have it"
NO_COUNTERPART: Mapping[str, str] = {
    **dict.fromkeys(("deploy_db_host", "deploy_db_name", "deploy_db_login", "deploy_db_psswd"), SERVICES),
    **dict.fromkeys(("tftp_repository", "pxe_rep", "tftp_relative_path"), SERVICES),
    **dict.fromkeys(("tftp_repository_intel", "pxe_rep_intel"), SERVICES),
    **dict.fromkeys(("enable_nmap", "nmap_cmd", "nmap_arguments"), "a node proves itself over SSH; no port is scanned"),
    **dict.fromkeys(("deploy_rcmd", "prod_rcmd"), "nodes are reached by SSH with the deployer's key"),
    **dict.fromkeys(
        ("window_size", "launcher_window_size", "use_internal_parallel_command"), "reboot_window limits reboots"
    ),
    "kadeploy2_directory": SERVICES,
    "deployment_validity_timeout": "a lease is renewed; nothing expires by its age",
    "pre_install_script_timeout": "step_policies has the timeouts of steps",
    "post_install_script": "each environment names the script of its post-install archive",
    "grub_timeout": "GRUB boots at once",
    "use_nogrub": "boot_method says how new systems boot",
}
LABEL = "the deployment environment is built anew (kadeploy-deployenv); `ka label` registers its kernel"
COMMANDS = {"softboot": "soft_reboot", "hardboot": "hard_reboot", "console": "console"}
YES = ("yes", "1", "true")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value:
    text: str
    line: Line

    @property
    def where(self) -> str:
        return f"{self.line.source}, line {self.line.number}"


def plan(directory: Path | None, dumps: Sequence[Path]) -> ImportPlan:
    """Returns what the files of a site come to. `directory`: of the configuration; None: there is none."""
    found = ImportPlan()
    deploy_user, clusters = DEPLOY_USER, dict[str, str]()
    if directory is not None:
        deploy_user = _profiles(directory, found)
        clusters = dict(_clusters(directory))
    if dumps:
        kadeploy2_database.add(found, dumps, clusters=clusters, deploy_user=deploy_user)
    if directory is not None:
        site_commands.assign(found, _commands(directory, found))
    return found


def _profiles(directory: Path, found: ImportPlan) -> str:
    """Reads deploy.conf and its variants for single clusters, and returns who owns the public environments."""
    main = directory / "deploy.conf"
    shared = _settings(main) if main.exists() else {}
    variants = {file.stem.removeprefix("deploy-"): _settings(file) for file in sorted(directory.glob("deploy-*.conf"))}
    if not shared and not variants and not (directory / "deploy_cmd.conf").exists():
        raise UsageFailure(f"{directory} has no deploy.conf", advice="--configuration names the right directory.")
    for cluster, own in ((DEFAULT, dict[str, _Value]()), *variants.items()):
        if shared or own:
            _profile(found.cluster(cluster), {**shared, **own}, found)
    owner = shared.get("deploy_user")
    return owner.text if owner else DEPLOY_USER


def _profile(profile: Profile, values: Mapping[str, _Value], found: ImportPlan) -> None:
    """Puts values into a profile."""
    for key, value in values.items():
        where = f"{value.where}: {key}"
        if key in READERS:
            found.attempt(where, lambda key=key, value=value: READERS[key](profile, value.text))  # type: ignore[misc]
        elif key.endswith("_options"):
            profile.message.mkfs_options[key.removesuffix("_options")] = value.text
            profile.said("mkfs_options")
        elif key.startswith("label_"):
            found.notice(where, LABEL)
        elif key not in ("deploy_user", "pre_install_archive", "pre_install_script"):
            found.notice(where, NO_COUNTERPART.get(key, "is not known"))
    _preinstall(profile, values, found)


def _take_seconds(profile: Profile, name: str, text: str) -> None:
    getattr(profile.message, name).FromSeconds(_number(text))
    profile.said(name)


def _take(profile: Profile, name: str, value: object) -> None:
    setattr(profile.message, name, value)
    profile.said(name)


def _take_kexec(profile: Profile, text: str) -> None:
    if text.lower() in YES:
        _take(profile, "boot_method", cluster_pb2.BOOT_METHOD_KEXEC)


READERS: Mapping[str, Callable[[Profile, str], None]] = {
    "first_check_timeout": lambda profile, text: _take_seconds(profile, "first_check_timeout", text),
    "last_check_timeout": lambda profile, text: _take_seconds(profile, "last_check_timeout", text),
    "kernel_param": lambda profile, text: _take(profile, "kernel_arguments", text),
    "default_target_device": lambda profile, text: _take(profile, "default_device", text.removeprefix("/dev/")),
    "default_target_partition": lambda profile, text: _take(profile, "default_partition", _number(text)),
    "do_fdisk_on_deploy": lambda profile, text: _take(profile, "partition_on_deploy", text.lower() in YES),
    "use_kexec_by_default": _take_kexec,
}


def _preinstall(profile: Profile, values: Mapping[str, _Value], found: ImportPlan) -> None:
    archive, script = values.get("pre_install_archive"), values.get("pre_install_script")
    if archive is None:
        return
    read = found.attempt(
        f"{archive.where}: pre_install_archive",
        lambda: image_files.script_archive(archive.text, Path("/"), script.text if script else "init.ash"),
    )
    if read is not None:
        profile.message.preinstall.CopyFrom(read)
        profile.said("preinstall")


def _settings(file: Path) -> dict[str, _Value]:
    """Reads a file of `key = value` lines, of which each key may stand once."""
    found: dict[str, _Value] = {}
    for line in lines(decode(node_names.read_file(str(file)), str(file)), str(file)):
        key, equals, value = (part.strip() for part in line.text.partition("="))
        if not equals or not re.fullmatch(r"\w+", key):
            raise line.failure('"key = value" is expected')
        if key in found:
            raise line.failure(f"{key} stands on line {found[key].line.number} already")
        found[key] = _Value(text=value.split(" #")[0].strip().strip("\"'"), line=line)
    return found


def _clusters(directory: Path) -> Iterator[tuple[str, str]]:
    """Gives each node of deploy_cluster.conf with its cluster."""
    file = directory / "deploy_cluster.conf"
    if not file.exists():
        return
    for line in lines(decode(node_names.read_file(str(file)), str(file)), str(file)):
        words = line.text.split()
        if len(words) != 2:  # noqa: PLR2004
            raise line.failure('"node cluster" is expected')
        yield words[0].lower(), words[1].lower()


def _commands(directory: Path, found: ImportPlan) -> dict[str, site_commands.Commands]:
    """Returns the commands of deploy_cmd.conf and its variants, by node."""
    commands: dict[str, site_commands.Commands] = {}
    for file in (directory / "deploy_cmd.conf", *sorted(directory.glob("deploy_cmd-*.conf"))):
        if not file.exists():
            continue
        for line in lines(decode(node_names.read_file(str(file)), str(file)), str(file)):
            words = line.text.split(maxsplit=2)
            if len(words) != 3:  # noqa: PLR2004
                raise line.failure('"node softboot|hardboot|deployboot|console command" is expected')
            name, kind, command = words[0].lower(), *words[1:]
            where = f"{line.source}, line {line.number}"
            if kind == "deployboot":
                continue
            if kind not in COMMANDS:
                found.notice(where, f"{kind} is no kind of command")
                continue
            places = {name: "{name}", name.partition(".")[0]: "{node_short}"}
            arguments = found.attempt(where, lambda command=command, places=places: template(command, places))  # type: ignore[misc]
            if arguments is not None:
                commands.setdefault(name, {})[COMMANDS[kind]] = tuple(arguments)
        found.notice(str(file), "deployboot is left out: bootctl writes the boot files")
    return commands


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageFailure(f"{text!r} is no number")
    return int(text)
