"""The tiny environment: Debian's kernel, busybox and dropbear; boots to sshd in seconds, for tests."""

from pathlib import Path

from deployenv.archive import compress_zstd, cpio
from deployenv.file_tree import FileTree
from deployenv.ingredients import Ingredients
from deployenv.system import add_busybox, add_kernel_modules, add_libraries, add_programs

HOME = Path(__file__).parent / "tiny"

_PROGRAMS = ("usr/sbin/dropbear", "usr/bin/dropbearkey")
_DISK_MODULES = ("virtio_pci", "virtio_blk", "virtio_scsi", "ata_piix", "sd_mod", "nvme", "ext4")
_MODULES = ("virtio_pci", "virtio_net", "virtio_rng")
_DIRECTORIES = {
    "boot": 0o755, "dev": 0o755, "home": 0o755, "mnt": 0o755, "proc": 0o555, "root": 0o700, "run": 0o755,
    "sys": 0o555, "tmp": 0o1777, "var/lib": 0o755, "var/log": 0o755, "var/run": 0o755,
}  # fmt: skip


def tiny_system(packages: Ingredients) -> FileTree:
    """Returns the whole root file system, kernel and initrd in /boot among it."""
    tree = _skeleton(_DIRECTORIES)
    add_busybox(tree, packages.root)
    add_programs(tree, packages.root, _PROGRAMS)
    add_libraries(tree, packages.root)
    add_kernel_modules(tree, packages.root, packages.kernel_release, _MODULES)
    tree.copy_tree(HOME / "rootfs")
    tree.file("etc/shadow", (HOME / "rootfs/etc/shadow").read_bytes(), 0o600)
    tree.file("boot/vmlinuz", packages.kernel)
    tree.file("boot/initrd.img", compress_zstd(cpio(tiny_initrd(packages).entries())))
    return tree


def tiny_initrd(packages: Ingredients) -> FileTree:
    """Returns the initramfs that mounts the root file system."""
    tree = _skeleton({"dev": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555, "target": 0o755})
    add_busybox(tree, packages.root)
    add_kernel_modules(tree, packages.root, packages.kernel_release, _DISK_MODULES)
    tree.copy_tree(HOME / "initrd")
    return tree


def _skeleton(directories: dict[str, int]) -> FileTree:
    tree = FileTree()
    for path, mode in directories.items():
        tree.directory(path, mode)
    for name in ("bin", "sbin", "lib", "lib64"):
        tree.symlink(name, f"usr/{name}")
    return tree
