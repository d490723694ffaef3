"""A label: a deployment kernel that stands in the tree, by the settings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLabel:
    """Kernel and initrd (file names in images_grub; no initrd when empty) and their arguments."""

    name: str
    kernel: str
    initrd: str
    arguments: str
