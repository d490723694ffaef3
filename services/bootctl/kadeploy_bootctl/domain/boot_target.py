"""The ways to boot, each a frozen value that checks itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kadeploy_bootctl.domain import digest
from kadeploy_bootctl.domain.errors import InvalidBootEntry, InvalidDigest
from kadeploy_bootctl.domain.texts import check_arguments, check_custom_text, check_disk_path, check_label

LARGEST_DISK = 127
LARGEST_PARTITION = 255

_LETTERED_DISK = re.compile(r"(?:sd|hd|vd|xvd)([a-z])\Z")
_NUMBERED_DISK = re.compile(r"(?:nvme([0-9]{1,2})n1|mmcblk([0-9]))\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTarget:
    """A deployment kernel that the settings know by a label; `arguments` follow the label's own."""

    label: str
    arguments: str = ""

    def __post_init__(self) -> None:
        check_label("target.label.label", self.label)
        check_arguments("target.label.arguments", self.arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTarget:
    """Kernel and initrd (or none) that were uploaded; `arguments` are the whole command line."""

    kernel_digest: str
    initrd_digest: str = ""
    arguments: str = ""

    def __post_init__(self) -> None:
        _check_digest("target.network.kernel_digest", self.kernel_digest)
        if self.initrd_digest:
            _check_digest("target.network.initrd_digest", self.initrd_digest)
        check_arguments("target.network.arguments", self.arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrubDiskTarget:
    """GRUB, fetched over the network, boots kernel and initrd (or none) from the node's own disk.

    Attributes:
        device: the disk without "/dev/", by whose name the firmware's order is guessed: sda first, sdb second.
        partition: from 1.
        kernel_path: from the top of the partition's file system.
        initrd_path: the same; empty for none.
        arguments: the whole command line.
    """

    device: str
    partition: int
    kernel_path: str
    initrd_path: str = ""
    arguments: str = ""

    def __post_init__(self) -> None:
        if self.disk < 0:
            raise InvalidBootEntry("target.grub_disk.device", "must be a disk's name such as sda, vda or nvme0n1")
        if not 1 <= self.partition <= LARGEST_PARTITION:
            raise InvalidBootEntry("target.grub_disk.partition", f"must be 1 to {LARGEST_PARTITION}")
        check_disk_path("target.grub_disk.kernel_path", self.kernel_path)
        if self.initrd_path:
            check_disk_path("target.grub_disk.initrd_path", self.initrd_path)
        check_arguments("target.grub_disk.arguments", self.arguments)

    @property
    def disk(self) -> int:
        """The disk in the firmware's order, from 0; -1 when the name tells none."""
        if named := _LETTERED_DISK.match(self.device):
            return ord(named[1]) - ord("a")
        numbered = _NUMBERED_DISK.match(self.device)
        return int(numbered[1] or numbered[2]) if numbered else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainloadTarget:
    """The loader in a partition's boot sector; partition 0 is the disk's own boot record."""

    disk: int
    partition: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.disk <= LARGEST_DISK:
            raise InvalidBootEntry("target.chainload.disk", f"must be 0 to {LARGEST_DISK}")
        if not 0 <= self.partition <= LARGEST_PARTITION:
            raise InvalidBootEntry("target.chainload.partition", f"must be 0 to {LARGEST_PARTITION}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalDiskTarget:
    """Whatever the firmware finds on the first disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MultibootModule:
    """One module that a hypervisor gets, with its arguments."""

    digest: str
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MultibootTarget:
    """A hypervisor with its modules."""

    hypervisor_digest: str
    hypervisor_arguments: str = ""
    modules: tuple[MultibootModule, ...] = ()

    def __post_init__(self) -> None:
        _check_digest("target.multiboot.hypervisor_digest", self.hypervisor_digest)
        _check_multiboot_arguments("target.multiboot.hypervisor_arguments", self.hypervisor_arguments)
        for number, module in enumerate(self.modules):
            _check_digest(f"target.multiboot.modules[{number}].digest", module.digest)
            _check_multiboot_arguments(f"target.multiboot.modules[{number}].arguments", module.arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomTarget:
    """The administrator's own text."""

    text: str

    def __post_init__(self) -> None:
        check_custom_text("target.custom.text", self.text)


BootTarget = (
    LabelTarget | NetworkTarget | GrubDiskTarget | ChainloadTarget | LocalDiskTarget | MultibootTarget | CustomTarget
)


TARGETS: Mapping[str, type[BootTarget]] = {
    "label": LabelTarget,
    "network": NetworkTarget,
    "grub_disk": GrubDiskTarget,
    "chainload": ChainloadTarget,
    "local_disk": LocalDiskTarget,
    "multiboot": MultibootTarget,
    "custom": CustomTarget,
}
"""The targets by their names in the contract."""

_NAMES = {kind: name for name, kind in TARGETS.items()}


def name_of(target: BootTarget) -> str:
    """Returns the target's name in the contract."""
    return _NAMES[type(target)]


def files_of(target: BootTarget) -> frozenset[str]:
    """Returns the digests of the boot files that a machine with this target fetches."""
    match target:
        case NetworkTarget():
            return frozenset(filter(None, (target.kernel_digest, target.initrd_digest)))
        case MultibootTarget():
            return frozenset((target.hypervisor_digest, *(module.digest for module in target.modules)))
        case CustomTarget():
            return digest.mentioned_in(target.text)
        case _:
            return frozenset()


def _check_digest(field: str, text: str) -> None:
    try:
        digest.parse(text)
    except InvalidDigest:
        raise InvalidBootEntry(field, "must be sha256: and 64 lower-case hexadecimal digits") from None


def _check_multiboot_arguments(field: str, arguments: str) -> None:
    check_arguments(field, arguments, pxelinux_reads_initrd=False)
    if "---" in arguments.split():
        raise InvalidBootEntry(field, "must not hold the word ---, which separates modules")
