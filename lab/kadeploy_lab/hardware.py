"""What a machine of the lab is built of: network cards, disk controller, disks, and who decides what it boots from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from kadeploy_lab.errors import LabError

CARDS = ("virtio-net-pci", "e1000", "e1000e", "igb", "rtl8139", "vmxnet3")
CONTROLLERS = ("virtio-blk", "ahci", "lsi53c895a", "megasas-gen2", "nvme")
MACHINES = ("", "pc", "q35")
_SCSI = ("lsi53c895a", "megasas-gen2")

NETWORK, DISK = "network", "disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One machine's parts.

    Attributes:
        cards: QEMU's names of its network cards, in the order of their slots.
        boot_card: which of them is on the lab's network, from 0; on the networks of the others nobody answers.
        controller: what its disks hang on.
        disks: how many disks it has. Their serial numbers are kalab0, kalab1 and so on.
        disks_swap: with every second start its disks are found in the other order, so that their names change.
        machine: QEMU's machine type; empty: pc for a BIOS, q35 for UEFI.
        own_boot_order: the firmware boots in the order that it keeps itself, which the installed system may change, as
            real machines do. Otherwise the network always stands first.
        processors: how many it has.
    """

    cards: tuple[str, ...] = ("virtio-net-pci",)
    boot_card: int = 0
    controller: str = "virtio-blk"
    disks: int = 1
    disks_swap: bool = False
    machine: str = ""
    own_boot_order: bool = False
    processors: int = 1

    def __post_init__(self) -> None:
        """Raises LabError for a part that the lab does not have."""
        for part, known in (
            (self.controller, CONTROLLERS),
            (self.machine, MACHINES),
            *((c, CARDS) for c in self.cards),
        ):
            if part not in known:
                raise LabError(f"'{part}' is no part of the lab's machines: it has {', '.join(filter(None, known))}.")
        if not 0 <= self.boot_card < len(self.cards) or min(self.disks, self.processors) < 1:
            raise LabError("A machine of the lab has a card to boot from, a processor and a disk, or more of them.")

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Self:
        """Returns what `dataclasses.asdict` and JSON made fields of."""
        return cls(**{**fields, "cards": tuple(fields["cards"])})

    @property
    def disk_device(self) -> str:
        """What Linux calls the first disk."""
        return {"virtio-blk": "vda", "nvme": "nvme0n1"}.get(self.controller, "sda")


def boot_indexes(hardware: Hardware, *, first: str = "") -> dict[str, int]:
    """Returns the place of each bootable device in the order that QEMU tells the firmware; -1: none.

    `first` ("network", "disk" or empty) is what the next start tries before all others.
    """
    indexes = {"card0": 1} | {f"disk{number}": number + 2 for number in range(hardware.disks)}
    if hardware.own_boot_order:
        indexes = dict.fromkeys(indexes, -1)
    if first:
        indexes[{NETWORK: "card0", DISK: "disk0"}[first]] = 0
    return indexes


def card_arguments(hardware: Hardware, *, tap: str, mac: str, indexes: Mapping[str, int]) -> list[str]:
    """Returns the network cards' part of QEMU's command line. The card to boot from is "card0" there."""
    words: list[str] = []
    for slot, model in enumerate(hardware.cards):
        if slot == hardware.boot_card:
            words += ["-netdev", f"tap,id=net0,ifname={tap},script=no,downscript=no"]
            words += ["-device", f"{model},id=card0,netdev=net0,mac={mac}{_boots('card0', indexes)}"]
        else:
            other = f"52:54:01:{slot:02x}:{mac[-5:]}"
            words += ["-netdev", f"hubport,id=other{slot},hubid={slot}"]
            words += ["-device", f"{model},id=other-card{slot},netdev=other{slot},mac={other}"]
    return words


def disk_arguments(
    hardware: Hardware, files: list[str], *, on_q35: bool, indexes: Mapping[str, int], swapped: bool = False
) -> list[str]:
    """Returns the disks' part of QEMU's command line.

    Args:
        hardware: the machine's parts.
        files: the disks' images.
        on_q35: the machine has a controller for AHCI already.
        indexes: places in the firmware's order.
        swapped: the last disk comes first.
    """
    words: list[str] = []
    bus = ""
    if hardware.controller in _SCSI or (hardware.controller == "ahci" and not on_q35):
        words += ["-device", f"{hardware.controller},id=controller"]
        bus = "controller"
    elif hardware.controller == "ahci":
        bus = "ide"
    numbered = list(enumerate(files))
    for place, (number, file) in enumerate(reversed(numbered) if swapped else numbered):
        name = f"disk{number}"
        # cache=unsafe: the disk survives the machine, not the host; blank again at the next start.
        words += ["-drive", f"file={file},format=raw,if=none,id={name}-image,cache=unsafe,discard=unmap"]
        device = {"virtio-blk": "virtio-blk-pci", "nvme": "nvme"}.get(hardware.controller)
        if hardware.controller == "ahci":
            device = f"ide-hd,bus={bus}.{place}"
        elif hardware.controller in _SCSI:
            device = f"scsi-hd,bus={bus}.0,scsi-id={place}"
        words += ["-device", f"{device},serial=kalab{number},id={name},drive={name}-image{_boots(name, indexes)}"]
    return words


def _boots(device: str, indexes: Mapping[str, int]) -> str:
    return f",bootindex={indexes[device]}" if indexes[device] >= 0 else ""
