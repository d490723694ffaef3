"""The tiny environment: Debian's kernel, busybox and dropbear; boots to sshd in seconds, for tests."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from kadeploy_deployenv.archive import compress_zstd, cpio
from kadeploy_deployenv.commands import run
from kadeploy_deployenv.file_tree import FileTree
from kadeploy_deployenv.ingredients import Ingredients
from kadeploy_deployenv.profiles import HARDWARE as METAL
from kadeploy_deployenv.profiles import VIRTUAL, Profile
from kadeploy_deployenv.system import add_busybox, add_kernel_modules, add_libraries, add_programs

HOME = Path(__file__).parent / "tiny"

# blkid says which partition has a UUID, for the proof of the root.
_PROGRAMS = ("blkid", "dropbear", "dropbearkey")
# busybox's own knows no PARTUUID.
_INITRD_PROGRAMS = ("findfs",)
_LOADER_MODULES = ("boot", "configfile", "ext2", "fat", "linux", "normal", "part_gpt", "part_msdos", "search")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drivers:
    """What a tiny system finds on its machine.

    Attributes:
        profile: of the deployment environment, which says the kernel.
        disks: modules of the initramfs.
        others: modules of the system itself.
        uefi: it has a boot loader for UEFI on its own file system, and what grub-install needs.
    """

    profile: Profile
    disks: tuple[str, ...]
    others: tuple[str, ...]
    uefi: bool = False


VIRTIO = Drivers(
    profile=VIRTUAL,
    disks=("virtio_pci", "virtio_blk", "virtio_scsi", "ata_piix", "sd_mod", "nvme", "ext4"),
    others=("virtio_pci", "virtio_net", "virtio_rng"),
)
HARDWARE = Drivers(
    profile=METAL,
    disks=("ahci", "megaraid_sas", "sym53c8xx", "nvme", "virtio_pci", "virtio_blk", "sd_mod", "ext4"),
    others=(
        "e1000",
        "e1000e",
        "igb",
        "vmxnet3",
        "8139cp",
        "8139too",
        "virtio_net",
        "virtio_rng",
        "efivarfs",
        "vfat",
        "nls_cp437",
        "nls_ascii",
    ),
    uefi=True,
)
_DIRECTORIES = {
    "boot": 0o755, "dev": 0o755, "home": 0o755, "mnt": 0o755, "proc": 0o555, "root": 0o700, "run": 0o755,
    "sys": 0o555, "tmp": 0o1777, "var/lib": 0o755, "var/log": 0o755, "var/run": 0o755,
}  # fmt: skip


def tiny_system(packages: Ingredients, drivers: Drivers = VIRTIO) -> FileTree:
    """Returns the whole root file system, kernel and initrd in /boot among it."""
    tree = _skeleton(_DIRECTORIES)
    add_busybox(tree, packages.root)
    add_programs(tree, packages.root, _PROGRAMS)
    if drivers.uefi:
        add_programs(tree, packages.root, ["efibootmgr", "mkfs.fat"])
        tree.file("EFI/BOOT/BOOTX64.EFI", _uefi_loader())
        tree.file("boot/grub/grub.cfg", (HOME / "uefi/grub.cfg").read_bytes())
    add_libraries(tree, packages.root)
    add_kernel_modules(tree, packages, drivers.others)
    tree.copy_tree(HOME / "rootfs")
    tree.file("etc/shadow", (HOME / "rootfs/etc/shadow").read_bytes(), 0o600)
    tree.file("boot/vmlinuz", packages.kernel.image.read_bytes())
    tree.file("boot/initrd.img", compress_zstd(cpio(tiny_initrd(packages, drivers).entries())))
    return tree


def tiny_initrd(packages: Ingredients, drivers: Drivers) -> FileTree:
    """Returns the initramfs that mounts the root file system."""
    tree = _skeleton({"dev": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555, "target": 0o755})
    add_busybox(tree, packages.root)
    add_programs(tree, packages.root, _INITRD_PROGRAMS)
    add_libraries(tree, packages.root)
    add_kernel_modules(tree, packages, drivers.disks)
    tree.copy_tree(HOME / "initrd")
    return tree


def _skeleton(directories: dict[str, int]) -> FileTree:
    tree = FileTree()
    for path, mode in directories.items():
        tree.directory(path, mode)
    for name in ("bin", "sbin", "lib", "lib64"):
        tree.symlink(name, f"usr/{name}")
    return tree


def _uefi_loader() -> bytes:
    with tempfile.TemporaryDirectory(prefix="kadeploy-loader-") as scratch:
        image = Path(scratch, "loader.efi")
        run(
            [
                *("grub-mkimage", "--format", "x86_64-efi", "--output", str(image), "--prefix", "/boot/grub"),
                *("--config", str(HOME / "uefi/find-system.cfg"), *_LOADER_MODULES),
            ],
            package="grub-common (and grub-efi-amd64-bin)",
        )
        return image.read_bytes()
