"""The boot loaders that a tree needs, and where Debian's packages put them."""

from dataclasses import dataclass
from pathlib import Path

MEMDISK = "memdisk"
UEFI_LOADER = "grubx64.efi"

_MODULES = ("ldlinux.c32", "libcom32.c32", "libutil.c32", "chain.c32", "mboot.c32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the loaders are installed on this host, and which of them the site needs.

    Attributes:
        pxelinux: the package pxelinux.
        syslinux: the package syslinux-common.
        grub: the packages grub-pc-bin and grub-efi-amd64-bin.
        http: kernels come by HTTP, which takes another pxelinux.
        uefi: there are machines with UEFI.
    """

    pxelinux: Path = Path("/usr/lib/PXELINUX")
    syslinux: Path = Path("/usr/lib/syslinux")
    grub: Path = Path("/usr/lib/grub")
    http: bool = False
    uefi: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """One file of the tree that comes from a Debian package.

    Attributes:
        name: its file name in the tree.
        source: where the package puts it.
        package: the package.
        beside_kernels: it stands in images_grub; otherwise in the repository itself.
    """

    name: str
    source: Path
    package: str
    beside_kernels: bool = False


def loaders(loader_name: str, sources: Sources) -> tuple[Loader, ...]:
    """Returns the loaders of a repository whose first loader DHCP calls by this name."""
    modules = sources.syslinux / "modules" / "bios"
    first = "lpxelinux.0" if sources.http else "pxelinux.0"
    return (
        Loader(name=loader_name, source=sources.pxelinux / first, package="pxelinux"),
        *(Loader(name=name, source=modules / name, package="syslinux-common") for name in _MODULES),
        Loader(name=MEMDISK, source=sources.syslinux / MEMDISK, package="syslinux-common", beside_kernels=True),
    )
