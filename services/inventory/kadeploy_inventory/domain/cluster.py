"""Clusters: nodes of one kind, and the profile that says how they are handled."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from kadeploy_inventory.domain.bmc_pattern import parse_pattern
from kadeploy_inventory.domain.command_template import CommandTemplates, check_commands
from kadeploy_inventory.domain.names import (
    parse_cluster_name,
    parse_device_name,
    parse_environment_name,
    parse_label_key,
    parse_step_name,
    parse_user_name,
)
from kadeploy_inventory.domain.power_driver import PowerDriver, check_power_driver
from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.domain.script_archive import (
    PREINSTALL_SCRIPT,
    ScriptArchive,
    check_script_archive,
)
from kadeploy_inventory.domain.texts import parse_file_system, parse_line

DEFAULT_CLUSTER = "default"
LONGEST_WAIT = timedelta(days=1)
MAXIMUM_RETRIES = 20
MAXIMUM_PARTITION = 128
GROUP_COMMANDS = ("hard_reboot", "very_hard_reboot", "power_off", "power_on")
"""What may act on all nodes that share a supply."""


class RebootLevel(StrEnum):
    """A rung of the reboot ladder."""

    UNSPECIFIED = "unspecified"
    SOFT = "soft"
    HARD = "hard"
    VERY_HARD = "very_hard"


class BootMethod(StrEnum):
    """How a new system is started; the deployer's words."""

    NETWORK = "network"
    GRUB = "grub"
    CHAINLOAD = "chainload"
    KEXEC = "kexec"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPolicy:
    """Timeout and retries of one step. No timeout: the step's own."""

    step: str
    timeout: timedelta | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootWindow:
    """How many nodes may reboot at once. Size 0 and no pause: the defaults."""

    size: int = 0
    pause: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentReference:
    """Names an environment the way people do. No version: the latest. No owner: by the lookup rule."""

    name: str
    version: int | None = None
    owner: str = ""

    def __str__(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        owner = f" of {self.owner}" if self.owner else ""
        return f"{self.name}{version}{owner}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultEnvironment:
    """What a node boots when a deployment left it without a system."""

    environment: EnvironmentReference
    device: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterProfile:
    """How the nodes are deployed, as it was described: what was left out is empty here."""

    first_check_timeout: timedelta | None = None
    last_check_timeout: timedelta | None = None
    step_policies: tuple[StepPolicy, ...] = ()
    reboot_window: RebootWindow = field(default_factory=RebootWindow)
    commands: CommandTemplates = field(default_factory=CommandTemplates)
    reboot_ladder: tuple[RebootLevel, ...] = ()
    deployment_kernel_label: str = ""
    deployment_kernel_arguments: str = ""
    kernel_arguments: str = ""
    mkfs_options: Mapping[str, str] = field(default_factory=dict)
    preinstall: ScriptArchive | None = None
    default_environment: DefaultEnvironment | None = None
    default_device: str = ""
    default_partition: int = 0
    partition_on_deploy: bool = False
    boot_method: BootMethod | None = None
    power_driver: PowerDriver | None = None
    bmc_address: str = ""
    power_group_label: str = ""
    group_commands: tuple[str, ...] = ()

    def with_defaults(self) -> "ClusterProfile":
        """Returns the profile with every default filled in."""
        pause = self.reboot_window.pause
        window = RebootWindow(
            size=self.reboot_window.size or 50,
            pause=timedelta(seconds=10) if pause is None else pause,
        )
        return replace(
            self,
            first_check_timeout=self.first_check_timeout or timedelta(seconds=210),
            last_check_timeout=self.last_check_timeout or timedelta(seconds=250),
            reboot_window=window,
            reboot_ladder=self.reboot_ladder or (RebootLevel.SOFT, RebootLevel.HARD),
            deployment_kernel_label=self.deployment_kernel_label or "deploy",
            default_device=self.default_device or "sda",
            default_partition=self.default_partition or 3,
            boot_method=self.boot_method or BootMethod.NETWORK,
            group_commands=self.group_commands or (("very_hard_reboot",) if self.power_group_label else ()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A set of like nodes under one profile. What the server makes is at the end."""

    name: str
    profile: ClusterProfile = field(default_factory=ClusterProfile)
    node_count: int = 0
    etag: str = ""
    create_time: datetime | None = None
    update_time: datetime | None = None


def check_cluster(cluster: Cluster, problems: Problems) -> Cluster:
    """Returns the cluster in its normal form and adds what is wrong with it."""
    problems.take("name", parse_cluster_name, cluster.name)
    return replace(cluster, profile=_check_profile(cluster.profile, problems.under("profile")))


def _check_profile(profile: ClusterProfile, problems: Problems) -> ClusterProfile:
    _check_wait("first_check_timeout", profile.first_check_timeout, problems)
    _check_wait("last_check_timeout", profile.last_check_timeout, problems)
    _check_steps(profile.step_policies, problems)
    window = problems.under("reboot_window")
    if profile.reboot_window.size < 0:
        window.add("size", f"must not be negative: {profile.reboot_window.size}")
    _check_wait("pause", profile.reboot_window.pause, window, least=timedelta(0))
    check_commands(profile.commands, problems.under("commands"))
    if profile.power_driver is not None:
        check_power_driver(profile.power_driver, problems.under("power_driver"))
    if RebootLevel.UNSPECIFIED in profile.reboot_ladder:
        problems.add("reboot_ladder", "has a rung that is not soft, hard or very hard")
    if profile.deployment_kernel_label:
        problems.take("deployment_kernel_label", parse_label_key, profile.deployment_kernel_label)
    problems.take("deployment_kernel_arguments", parse_line, profile.deployment_kernel_arguments)
    problems.take("kernel_arguments", parse_line, profile.kernel_arguments)
    for file_system, options in profile.mkfs_options.items():
        problems.take("mkfs_options", parse_file_system, file_system)
        problems.take(f"mkfs_options[{file_system!r}]", parse_line, options)
    _check_target(profile, problems)
    problems.take("bmc_address", parse_pattern, profile.bmc_address)
    _check_power_group(profile, problems)
    if profile.preinstall is None:
        return profile
    here = problems.under("preinstall")
    archive = check_script_archive(profile.preinstall, here, default_script=PREINSTALL_SCRIPT)
    return replace(profile, preinstall=archive)


def _check_wait(
    name: str, wait: timedelta | None, problems: Problems, *, least: timedelta = timedelta(seconds=1)
) -> None:
    if wait is not None and not least <= wait <= LONGEST_WAIT:
        longest = int(LONGEST_WAIT.total_seconds())
        problems.add(name, f"must be from {int(least.total_seconds())} s to {longest} s")


def _check_steps(policies: tuple[StepPolicy, ...], problems: Problems) -> None:
    for index, policy in enumerate(policies):
        here = problems.under(f"step_policies[{index}]")
        here.take("step", parse_step_name, policy.step)
        _check_wait("timeout", policy.timeout, here)
        if not 0 <= policy.retries <= MAXIMUM_RETRIES:
            here.add("retries", f"must be from 0 to {MAXIMUM_RETRIES}, not {policy.retries}")
        if policy.step in {earlier.step for earlier in policies[:index]}:
            here.add("step", f"names {policy.step} a second time")


def _check_power_group(profile: ClusterProfile, problems: Problems) -> None:
    if profile.power_group_label:
        problems.take("power_group_label", parse_label_key, profile.power_group_label)
    for command in profile.group_commands:
        if command not in GROUP_COMMANDS:
            problems.add("group_commands", f"names {command!r}; known are {', '.join(GROUP_COMMANDS)}")
    if profile.group_commands and not profile.power_group_label:
        problems.add("group_commands", "says nothing without power_group_label")


def _check_target(profile: ClusterProfile, problems: Problems) -> None:
    if profile.default_device:
        problems.take("default_device", parse_device_name, profile.default_device)
    if not 0 <= profile.default_partition <= MAXIMUM_PARTITION:
        problems.add("default_partition", f"must be from 1 to {MAXIMUM_PARTITION}")
    if profile.default_environment is None:
        return
    default, here = profile.default_environment, problems.under("default_environment")
    here.take("device", parse_device_name, default.device)
    if not 0 < default.partition <= MAXIMUM_PARTITION:
        here.add("partition", f"must be from 1 to {MAXIMUM_PARTITION}, not {default.partition}")
    here.take("environment.name", parse_environment_name, default.environment.name)
    if default.environment.owner:
        here.take("environment.owner", parse_user_name, default.environment.owner)
    if default.environment.version is not None and default.environment.version < 1:
        here.add("environment.version", "begins at 1")
