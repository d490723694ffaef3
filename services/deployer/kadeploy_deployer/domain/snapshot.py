"""What a deployment copies of the inventory when it is created.

A later change in the inventory cannot reach a running deployment: every step reads these values alone. All are plain
data that go through JSON and back unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kadeploy_deployer.domain.states import BootMethod, BusyPolicy, RebootLevel
from kadeploy_deployer.domain.vocabulary import (
    BootKind,
    Compression,
    Firmware,
    ImageKind,
    OperatingSystem,
    PartitionRole,
    PartitionTable,
    PartitionType,
    PowerDriverKind,
)

LISTED_NODES = 1000
"""Characters of a node set that lists tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSnapshot:
    """One partition as the inventory wants it."""

    number: int
    size_bytes: int
    type: PartitionType = PartitionType.PRIMARY
    type_id: int = 0x83
    label: str = ""
    role: PartitionRole = PartitionRole.DEPLOY


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskIdentity:
    """What tells a disk from the others of its machine; empty and 0 say nothing, all else holds together."""

    serial: str = ""
    wwn: str = ""
    link: str = ""
    kernel_name: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSnapshot:
    """One disk. `device`: its name in the inventory, without "/dev/"; partitions in ascending order."""

    device: str
    size_bytes: int
    partition_table: PartitionTable = PartitionTable.MBR
    partitions: tuple[PartitionSnapshot, ...] = ()
    identity: DiskIdentity = DiskIdentity()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSnapshot:
    """Command templates of a node (its own or else its cluster's), as argument tuples; empty: not possible."""

    soft_reboot: tuple[str, ...] = ()
    hard_reboot: tuple[str, ...] = ()
    very_hard_reboot: tuple[str, ...] = ()
    power_on: tuple[str, ...] = ()
    power_off: tuple[str, ...] = ()
    power_status: tuple[str, ...] = ()
    console: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerDriverSnapshot:
    """How a node's management controller is reached, where no command says. `address` and `system` are templates."""

    kind: PowerDriverKind
    user: str
    password_file: str
    address: str = "{bmc}"
    cipher_suite: int = 0
    ca_file: str = ""
    accept_any_certificate: bool = False
    system: str = ""


DRIVEN = frozenset({"hard_reboot", "very_hard_reboot", "power_on", "power_off", "power_status"})
"""What a power driver can do, in the words of the command templates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSnapshot:
    """One node with its target. `uuid` is empty where nobody knows it.

    `device` is the disk's name in the inventory. What the deployment environment found out about it stands in
    `found_device`, the name of its device file without "/dev/", and `partition_uuid`, of the target partition; both are
    empty until then.
    """

    name: str
    mac_address: str
    ip_address: str
    cluster: str
    device: str
    partition: int
    firmware: Firmware = Firmware.BIOS
    bmc_address: str = ""
    uuid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    # The others that lose their power with this one when one of `group_commands` is run; empty where that is wanted.
    power_sharers: tuple[str, ...] = ()
    group_commands: tuple[str, ...] = ()
    disks: tuple[DiskSnapshot, ...] = ()
    commands: CommandSnapshot = CommandSnapshot()
    power_driver: PowerDriverSnapshot | None = None
    found_device: str = ""
    partition_uuid: str = ""

    @property
    def disk(self) -> DiskSnapshot | None:
        """The disk of the target, None when the node has no such disk."""
        return next((disk for disk in self.disks if disk.device == self.device), None)

    @property
    def target(self) -> PartitionSnapshot | None:
        """The target partition, None when the disk has no such partition."""
        for disk in self.disks:
            if disk.device == self.device:
                for part in disk.partitions:
                    if part.number == self.partition:
                        return part
        return None

    @property
    def disk_words(self) -> tuple[str, ...]:
        """All partitions of the target disk as rights name them, the target's first."""
        partitions = self.disk.partitions if self.disk else ()
        words = (partition_name(self.device, part.number) for part in partitions)
        return tuple(dict.fromkeys((self.target_word, *words)))

    @property
    def target_word(self) -> str:
        """The target partition as rights name it: "vda3", "nvme0n1p3"."""
        return partition_name(self.device, self.partition)

    @property
    def disk_device(self) -> str:
        """The device file of the target disk."""
        return f"/dev/{self.found_device or self.device}"

    @property
    def target_device(self) -> str:
        """The device file of the target partition."""
        return self.partition_device(self.partition)

    @property
    def root(self) -> str:
        """The target partition as `root=` names it."""
        return f"PARTUUID={self.partition_uuid}" if self.partition_uuid else self.target_device

    def can(self, word: str) -> bool:
        """Returns whether the site has a way to do something to the node, in a command template's word."""
        return bool(getattr(self.commands, word)) or (self.power_driver is not None and word in DRIVEN)

    def partition_device(self, number: int) -> str:
        """Returns the device file of a partition of the target disk: "/dev/vda3", "/dev/nvme0n1p3"."""
        return f"/dev/{partition_name(self.found_device or self.device, number)}"


def partition_name(device: str, number: int) -> str:
    """Returns the name of a partition: "vda3", "nvme0n1p3", "cciss/c0d0p3", "mapper/mpatha-part3"."""
    if device.startswith("mapper/"):
        return f"{device}-part{number}"
    infix = "p" if device[-1:].isdigit() else ""
    return f"{device}{infix}{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSnapshot:
    """A file that is sent to nodes. `digest`: "sha256:<hex>"."""

    uri: str
    digest: str
    size_bytes: int
    compression: Compression = Compression.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSnapshot:
    """A pre- or post-install archive.

    `script`: path in the archive; "none" runs nothing. `arguments`: of the script; empty: where it was unpacked.
    """

    file: FileSnapshot
    script: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSnapshot:
    """One version of an environment.

    Attributes:
        destructive: what it leaves on a node is not trusted for a deployment from the running system.
        whole_disk: the image brings a partition table.
        system_partition: the one of that table that holds the system, 0 where none is known.
        described: its request described it, and it is recorded nowhere.
    """

    name: str
    version: int
    owner: str
    image: FileSnapshot
    kind: ImageKind = ImageKind.TAR
    operating_system: OperatingSystem = OperatingSystem.LINUX
    preinstall: ArchiveSnapshot | None = None
    postinstalls: tuple[ArchiveSnapshot, ...] = ()
    boot_kind: BootKind = BootKind.LINUX
    kernel_path: str = ""
    initrd_path: str = ""
    kernel_arguments: str = ""
    hypervisor_path: str = ""
    hypervisor_arguments: str = ""
    file_system: str = "ext4"
    partition_type_id: int = 0x83
    required_size_bytes: int = 0
    options: str = ""
    architecture: str = ""
    custom_variables: tuple[tuple[str, str], ...] = ()
    destructive: bool = False
    running_system_refused: bool = False
    kexec_refused: bool = False
    whole_disk: bool = False
    system_partition: int = 0
    described: bool = False

    @property
    def files(self) -> tuple[FileSnapshot, ...]:
        """The files that are sent to nodes."""
        archives = (*self.postinstalls, *([self.preinstall] if self.preinstall else []))
        return (self.image, *(archive.file for archive in archives))

    @property
    def least_size_bytes(self) -> int:
        """How large a partition must be at least."""
        return max(self.required_size_bytes, self.image.size_bytes)

    @property
    def listed(self) -> "EnvironmentSnapshot":
        """What lists tell of it: its name, version, owner and image."""
        image = FileSnapshot(uri="", digest=self.image.digest, size_bytes=self.image.size_bytes)
        return EnvironmentSnapshot(
            name=self.name, version=self.version, owner=self.owner, image=image, described=self.described
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPolicy:
    """Timeout in seconds and number of retries of one step."""

    timeout: float
    retries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultSystemSnapshot:
    """What the nodes of a cluster boot when a deployment left them without a system. `device` without "/dev/"."""

    environment: EnvironmentSnapshot
    device: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSnapshot:
    """How the nodes of one cluster are handled; times in seconds."""

    first_check_timeout: float = 210.0
    last_check_timeout: float = 250.0
    reboot_window_size: int = 50
    reboot_window_pause: float = 10.0
    reboot_ladder: tuple[RebootLevel, ...] = (RebootLevel.SOFT, RebootLevel.HARD)
    deployment_kernel_label: str = "deploy"
    deployment_kernel_arguments: str = ""
    kernel_arguments: str = ""
    boot_method: BootMethod = BootMethod.NETWORK
    mkfs_options: Mapping[str, str] = field(default_factory=dict)
    preinstall: ArchiveSnapshot | None = None
    partition_on_deploy: bool = False
    default_system: DefaultSystemSnapshot | None = None
    step_policies: Mapping[str, StepPolicy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudInitSeed:
    """What cloud-init reads at the first boot; placeholders are filled in for each node."""

    user_data: str = ""
    meta_data: str = ""
    network_config: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSpec:
    """What the user asked for; empty, zero and None mean "by default". Times in seconds.

    The boot method of a deployment that was created is never None: `boot_choice` made one of it.
    """

    nodes: str
    environment_name: str
    environment_version: int | None = None
    environment_owner: str = ""
    device: str = ""
    partition: int = 0
    busy_policy: BusyPolicy = BusyPolicy.EXCLUDE
    wait_timeout: float = 0.0
    write_partition_table: bool = False
    reformat_tmp: str = ""
    boot_method: BootMethod | None = None
    use_production_system: bool = False
    authorized_keys: tuple[str, ...] = ()
    kernel_arguments: str = ""
    first_check_timeout: float | None = None
    last_check_timeout: float | None = None
    user: str = ""
    whole_disk: bool = False
    cloud_init: CloudInitSeed | None = None

    @property
    def listed(self) -> "DeploymentSpec":
        """What lists tell of it: no keys and no kernel arguments, and of a long node set its beginning."""
        nodes = self.nodes if len(self.nodes) <= LISTED_NODES else f"{self.nodes[:LISTED_NODES]}…"
        return replace(self, nodes=nodes, authorized_keys=(), kernel_arguments="", cloud_init=None)
