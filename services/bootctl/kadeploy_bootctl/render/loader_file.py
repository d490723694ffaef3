"""An entry's file, in the words of the loader that the machine's firmware starts."""

from kadeploy_bootctl.domain.boot_entry import BootEntry, Firmware
from kadeploy_bootctl.domain.boot_target import GrubDiskTarget
from kadeploy_bootctl.domain.grub_image import GrubImage
from kadeploy_bootctl.render import grub, pxelinux
from kadeploy_bootctl.render.site import Site


def render(entry: BootEntry, site: Site) -> str:
    """Returns the text of the node's file. Raises LabelNotFound, InvalidBootEntry."""
    if entry.node.firmware is Firmware.UEFI:
        return grub.render(entry, site)
    return pxelinux.render(entry, site)


def image_of(entry: BootEntry) -> GrubImage | None:
    """Returns the GRUB image that the node's file names, None for most. Raises InvalidBootEntry."""
    if entry.node.firmware is Firmware.BIOS and isinstance(entry.target, GrubDiskTarget):
        return grub.image_for(entry.target)
    return None
