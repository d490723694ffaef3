"""The profiles of the deployment environment: kernel, modules, and how large they may become. Data only."""

from dataclasses import dataclass

_MEGABYTE = 1_000_000
_FILE_SYSTEMS = ("ext4", "xfs", "btrfs", "vfat", "nls_cp437", "nls_ascii", "nls_utf8", "nls_iso8859_1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What kind of machines the environment is for.

    Attributes:
        name: as `--profile` takes it.
        kernel: the Debian package that stands for the newest kernel of its kind.
        modules: names of kernel modules. What a module needs comes with it; what is built into the kernel is skipped.
        folders: folders below "kernel/" in the kernel's module tree of which every module goes in.
        left_out: names of modules in these folders that stay out all the same.
        packages: Debian packages besides those of every profile.
        programs: programs from these packages.
        maximum_bytes: bound of initrd.img without firmware. A build that exceeds it fails.
    """

    name: str
    kernel: str
    modules: tuple[str, ...]
    folders: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    maximum_bytes: int


HARDWARE = Profile(
    name="hardware",
    kernel="linux-image-amd64",
    modules=(
        *_FILE_SYSTEMS, "efivarfs", "isofs", "overlay", "squashfs",
        "virtio_net", "virtio_blk", "virtio_scsi", "virtio_rng", "xen_netfront", "xen_blkfront",
        "8021q", "bonding", "loop", "nbd", "cdrom", "sdhci_pci", "sdhci_acpi", "mmc_block",
        # Keyboards, for the console of a machine without a serial port; and the machine's own BMC.
        "hid_generic", "usbhid", "ipmi_si", "ipmi_devintf",
    ),
    folders=(
        "drivers/net/ethernet", "drivers/net/hyperv", "drivers/net/mdio", "drivers/net/phy", "drivers/net/vmxnet3",
        "drivers/ata", "drivers/message/fusion", "drivers/nvme/host", "drivers/scsi", "drivers/virtio", "drivers/hv",
        "drivers/block/mtip32xx", "drivers/md", "drivers/usb/host", "drivers/usb/storage",
    ),
    # Stand-ins for tests, which would show disks that are not there; and cards of laptops.
    left_out=frozenset({"scsi_debug", "netdevsim", "aha152x_cs", "fdomain_cs", "nsp_cs", "qlogic_cs", "sym53c500_cs"}),
    # Asks the machine's own BMC for its address.
    packages=("ipmitool",),
    programs=("ipmitool",),
    maximum_bytes=120 * _MEGABYTE,
)  # fmt: skip

VIRTUAL = Profile(
    name="virtual",
    kernel="linux-image-cloud-amd64",
    modules=(
        "virtio_pci", "virtio_net", "virtio_blk", "virtio_scsi", "virtio_rng",
        "nvme", "ata_piix", "ata_generic", "sd_mod", "dm_mod", "raid1", "efivarfs",
        *_FILE_SYSTEMS,
    ),
    maximum_bytes=40 * _MEGABYTE,
)  # fmt: skip

PROFILES = {profile.name: profile for profile in (HARDWARE, VIRTUAL)}
