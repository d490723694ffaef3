"""The ways to boot, each a frozen value that checks itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from kadeploy_bootctl.domain import digest
from kadeploy_bootctl.domain.errors import InvalidBootEntry, InvalidDigest
from kadeploy_bootctl.domain.texts import check_arguments, check_custom_text, check_label

LARGEST_DISK = 127
LARGEST_PARTITION = 255
MAXIMUM_MODULES = 16


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
    """A GRUB image that boots the system on the node's own disk. No loader renders it yet."""

    device: str
    partition: int
    kernel_path: str
    initrd_path: str
    arguments: str


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
        if len(self.modules) > MAXIMUM_MODULES:
            raise InvalidBootEntry("target.multiboot.modules", f"may be at most {MAXIMUM_MODULES}")
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
