"""Boot entries between the contract and the domain, both ways, pure."""

from collections.abc import Callable, Mapping

from kadeploy.bootctl.v1 import boot_entry_pb2
from kadeploy_bootctl.app.boot_entries import EntryRequest
from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode, Firmware
from kadeploy_bootctl.domain.boot_target import (
    BootTarget,
    ChainloadTarget,
    CustomTarget,
    GrubDiskTarget,
    LabelTarget,
    LocalDiskTarget,
    MultibootModule,
    MultibootTarget,
    NetworkTarget,
)
from kadeploy_bootctl.domain.errors import InvalidBootEntry
from kadeploy_edge.errors import DomainError

_FIRMWARES = {
    # A machine that nobody described starts by its BIOS, as all of them once did.
    boot_entry_pb2.BOOT_FIRMWARE_UNSPECIFIED: Firmware.BIOS,
    boot_entry_pb2.BOOT_FIRMWARE_BIOS: Firmware.BIOS,
    boot_entry_pb2.BOOT_FIRMWARE_UEFI: Firmware.UEFI,
}
_FIRMWARE_NUMBERS = {
    Firmware.BIOS: boot_entry_pb2.BOOT_FIRMWARE_BIOS,
    Firmware.UEFI: boot_entry_pb2.BOOT_FIRMWARE_UEFI,
}


def entry_from_message(message: boot_entry_pb2.BootEntry) -> EntryRequest:
    """Returns the entry, or the error that says why it is none."""
    try:
        return BootEntry(node=_node_of(message.node), target=_target_of(message.target), owner=message.owner)
    except DomainError as error:
        return error


def entry_message(entry: BootEntry) -> boot_entry_pb2.BootEntry:
    """Returns the message of an entry."""
    message = boot_entry_pb2.BootEntry(
        node=boot_entry_pb2.BootNode(
            name=entry.node.name,
            mac_address=entry.node.mac_address,
            ip_address=entry.node.ip_address,
            firmware=_FIRMWARE_NUMBERS[entry.node.firmware],
            uuid=entry.node.uuid,
        ),
        target=_target_message(entry.target),
        owner=entry.owner,
    )
    if entry.update_time is not None:
        message.update_time.FromDatetime(entry.update_time)
    return message


def _node_of(message: boot_entry_pb2.BootNode) -> BootNode:
    firmware = _FIRMWARES.get(message.firmware)
    if firmware is None:
        raise InvalidBootEntry("node.firmware", f"is {message.firmware}, which this version does not know")
    return BootNode(
        name=message.name,
        mac_address=message.mac_address,
        ip_address=message.ip_address,
        firmware=firmware,
        uuid=message.uuid,
    )


def _target_of(message: boot_entry_pb2.BootTarget) -> BootTarget:
    kind = message.WhichOneof("kind")
    if kind is None:
        raise InvalidBootEntry("target", "must say how to boot")
    return _READERS[kind](message)


_READERS: Mapping[str, Callable[[boot_entry_pb2.BootTarget], BootTarget]] = {
    "label": lambda message: LabelTarget(label=message.label.label, arguments=message.label.arguments),
    "network": lambda message: NetworkTarget(
        kernel_digest=message.network.kernel_digest,
        initrd_digest=message.network.initrd_digest,
        arguments=message.network.arguments,
    ),
    "grub_disk": lambda message: GrubDiskTarget(
        device=message.grub_disk.device,
        partition=message.grub_disk.partition,
        kernel_path=message.grub_disk.kernel_path,
        initrd_path=message.grub_disk.initrd_path,
        arguments=message.grub_disk.arguments,
    ),
    "chainload": lambda message: ChainloadTarget(disk=message.chainload.disk, partition=message.chainload.partition),
    "local_disk": lambda _message: LocalDiskTarget(),
    "multiboot": lambda message: MultibootTarget(
        hypervisor_digest=message.multiboot.hypervisor_digest,
        hypervisor_arguments=message.multiboot.hypervisor_arguments,
        modules=tuple(
            MultibootModule(digest=module.digest, arguments=module.arguments) for module in message.multiboot.modules
        ),
    ),
    "custom": lambda message: CustomTarget(text=message.custom.text),
}


def _target_message(target: BootTarget) -> boot_entry_pb2.BootTarget:
    message = boot_entry_pb2.BootTarget()
    match target:
        case LabelTarget():
            message.label.label, message.label.arguments = target.label, target.arguments
        case NetworkTarget():
            message.network.kernel_digest = target.kernel_digest
            message.network.initrd_digest = target.initrd_digest
            message.network.arguments = target.arguments
        case GrubDiskTarget():
            message.grub_disk.device, message.grub_disk.partition = target.device, target.partition
            message.grub_disk.kernel_path, message.grub_disk.initrd_path = target.kernel_path, target.initrd_path
            message.grub_disk.arguments = target.arguments
        case ChainloadTarget():
            message.chainload.disk, message.chainload.partition = target.disk, target.partition
            message.chainload.SetInParent()
        case LocalDiskTarget():
            message.local_disk.SetInParent()
        case MultibootTarget():
            message.multiboot.hypervisor_digest = target.hypervisor_digest
            message.multiboot.hypervisor_arguments = target.hypervisor_arguments
            for module in target.modules:
                message.multiboot.modules.add(digest=module.digest, arguments=module.arguments)
        case CustomTarget():
            message.custom.text = target.text
    return message
