"""What the deployment environment is made of: packages, programs, Python modules.

Data only. A change here is a new recipe, and the next build starts from it. Kernel modules stand in `profiles`.
"""

# Their dependencies come by themselves.
PACKAGES = (
    "btrfs-progs", "busybox-static", "bzip2", "coreutils", "dash", "dmsetup", "dosfstools", "dropbear-bin",
    "e2fsprogs", "efibootmgr", "fdisk", "gzip", "kexec-tools", "kmod", "libkmod2", "libpython3-stdlib", "lvm2",
    "mdadm", "mount", "python3-minimal", "tar", "udev", "util-linux", "util-linux-extra", "xfsprogs", "xz-utils",
    "zstd",
)  # fmt: skip

# Packages with the firmware that drivers of the recipe's modules want. Only the wanted files go in.
FIRMWARE_PACKAGES = (
    "firmware-bnx2", "firmware-bnx2x", "firmware-cavium", "firmware-linux-free", "firmware-misc-nonfree",
    "firmware-myricom", "firmware-netronome", "firmware-netxen", "firmware-qlogic", "firmware-realtek",
)  # fmt: skip
# By suite: split off from firmware-misc-nonfree after Debian 12.
MORE_FIRMWARE_PACKAGES = {"bookworm": (), "trixie": ("firmware-intel-misc",)}

# Found in /usr/bin or /usr/sbin of the packages, and put there. All else is busybox. The shell is dash, because that of
# busybox runs its own applets even where a real tar or mkswap stands on the path.
PROGRAMS = (
    "dash",
    "bzip2", "findmnt", "gzip", "lsblk", "mountpoint", "tar",
    "install", "xz", "zstd",
    "sfdisk", "blockdev", "wipefs", "mkswap", "blkid",
    "mke2fs", "tune2fs", "e2fsck", "mkfs.xfs", "mkfs.btrfs", "mkfs.fat",
    "kexec", "dropbear", "dropbearkey",
    "kmod", "udevadm", "dmsetup", "lvm", "mdadm", "efibootmgr",
)  # fmt: skip

# Libraries that a program looks for only when it wants them, so that the loader does not name them: Debian 13's udev
# loads drivers by the first.
LIBRARIES = ("libkmod.so.2",)

# Other names of these programs.
LINKS = {
    "usr/bin/ash": "dash",
    "usr/bin/bunzip2": "bzip2",
    "usr/bin/bzcat": "bzip2",
    "usr/bin/sh": "dash",
    "usr/bin/unxz": "xz",
    "usr/bin/xzcat": "xz",
    "usr/bin/unzstd": "zstd",
    "usr/bin/zstdcat": "zstd",
    "usr/sbin/depmod": "../bin/kmod",
    "usr/sbin/insmod": "../bin/kmod",
    "usr/sbin/lsmod": "../bin/kmod",
    "usr/sbin/modinfo": "../bin/kmod",
    "usr/sbin/modprobe": "../bin/kmod",
    "usr/sbin/rmmod": "../bin/kmod",
    "usr/sbin/mkfs.ext2": "mke2fs",
    "usr/sbin/mkfs.ext3": "mke2fs",
    "usr/sbin/mkfs.ext4": "mke2fs",
    "usr/sbin/mkfs.vfat": "mkfs.fat",
    "usr/sbin/lvchange": "lvm",
    "usr/sbin/pvs": "lvm",
    "usr/sbin/vgchange": "lvm",
    "usr/sbin/vgs": "lvm",
}

# Applets that would write to a disk in another way than the real program of the same purpose, and those that are served
# by a real program under another name.
UNWANTED_APPLETS = frozenset(
    {"depmod", "dpkg", "dpkg-deb", "insmod", "lsmod", "mkdosfs", "modinfo", "modprobe", "rmmod", "rpm", "rpm2cpio"}
)

# Kept as they are in the packages. The rules of udev load drivers and name disks; none of them starts LVM or md arrays,
# for what lies on the disks is about to be overwritten.
FILES = (
    "etc/mke2fs.conf",
    *(
        f"usr/lib/udev/rules.d/{name}.rules"
        for name in (
            "50-udev-default", "55-dm", "56-lvm", "60-block", "60-cdrom_id", "60-persistent-storage",
            "60-persistent-storage-dm", "63-md-raid-arrays", "64-btrfs", "75-net-description", "80-drivers",
            "95-dm-notify",
        )
    ),
    "usr/lib/udev/ata_id", "usr/lib/udev/cdrom_id", "usr/lib/udev/scsi_id",
)  # fmt: skip

DIRECTORIES = {
    "dev": 0o755, "mnt/dest": 0o755, "proc": 0o555, "rambin": 0o755, "root": 0o700, "run": 0o755,
    "sys": 0o555, "tmp": 0o1777, "var/log": 0o755, "var/lock": 0o1777,
}  # fmt: skip

BLAKE3 = "blake3==1.0.11"
# By the version of the nodes' Python.
BLAKE3_SHA256 = {
    "3.11": "fe624bb87ee53d9770bec087631d7fd8f01eab0128693b8fe6b884d8c2cf0989",
    "3.13": "dad7fc38101ec6fe0ff4ac1e4f89e0c20ee532d4c042a134b5fe83a2cb93bc2e",
}

# For the broadcast program and for the administrator's own scripts. What these import comes with them.
PYTHON_MODULES = (
    "argparse", "base64", "collections", "concurrent.futures", "contextlib", "dataclasses",
    "encodings.ascii", "encodings.idna", "encodings.latin_1", "encodings.utf_8", "enum", "errno", "fcntl",
    "fnmatch", "functools", "glob", "hashlib", "hmac", "io", "ipaddress", "itertools", "json", "logging",
    "mmap", "os", "pathlib", "queue", "random", "re", "resource", "runpy", "secrets", "select", "selectors",
    "shlex", "shutil", "signal", "site", "socket", "socketserver", "stat", "string", "struct", "subprocess",
    "sys", "tempfile", "textwrap", "threading", "time", "traceback", "types", "typing", "uuid",
)  # fmt: skip

# Imported only in branches that are not taken here, and large: OpenSSL, e-mail, packaging, debugging.
UNWANTED_PYTHON_MODULES = (
    "_bz2", "_hashlib", "_lzma", "_ssl", "asyncio", "bz2", "concurrent.futures.process", "ctypes", "decimal",
    "distutils", "doctest", "email", "gettext", "http", "importlib.metadata", "lzma", "multiprocessing",
    "optparse", "pdb", "plistlib", "pydoc", "readline", "rlcompleter", "ssl", "statistics", "sysconfig",
    "tracemalloc", "unittest", "xml", "zipfile", "zoneinfo",
)  # fmt: skip
