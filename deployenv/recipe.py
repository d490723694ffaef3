"""What the deployment environment is made of: packages, programs, kernel modules, Python modules.

Data only. A change here is a new recipe, and the next build starts from it.
"""

KERNEL = "linux-image-cloud-amd64"

# Programs come from the first group, the libraries they need from the second. The build stops if one is missing.
PACKAGES = (
    "btrfs-progs", "busybox-static", "bzip2", "coreutils", "dash", "dosfstools", "dropbear-bin", "e2fsprogs",
    "fdisk", "gzip", "kexec-tools", "libpython3.11-minimal", "libpython3.11-stdlib", "mount", "python3.11-minimal",
    "tar", "util-linux", "util-linux-extra", "xfsprogs", "xz-utils", "zstd",
    "libacl1", "libattr1", "libblkid1", "libbz2-1.0", "libc6", "libcap-ng0", "libcom-err2", "libcrypt1", "libexpat1",
    "libext2fs2", "libfdisk1", "libgcc-s1", "libgmp10", "libinih1", "liblz4-1", "liblzma5", "liblzo2-2",
    "libmount1", "libpcre2-8-0", "libreadline8", "libselinux1", "libsmartcols1", "libss2", "libstdc++6",
    "libtinfo6", "libtomcrypt1", "libtommath1", "libudev1", "liburcu8", "libuuid1", "libxenmisc4.17",
    "libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1", "libxengnttab1",
    "libxentoolcore1", "libxentoollog1", "libzstd1", "zlib1g",
)  # fmt: skip

# As they lie in the packages; everything lands in /usr/bin or /usr/sbin. All else is busybox. The shell is dash,
# because that of busybox runs its own applets even where a real tar or mkswap stands on the path.
PROGRAMS = (
    "bin/dash",
    "bin/bzip2", "bin/findmnt", "bin/gzip", "bin/lsblk", "bin/mountpoint", "bin/tar",
    "usr/bin/install", "usr/bin/xz", "usr/bin/zstd",
    "sbin/sfdisk", "sbin/blockdev", "sbin/wipefs", "sbin/mkswap", "sbin/blkid",
    "sbin/mke2fs", "sbin/tune2fs", "sbin/e2fsck", "sbin/mkfs.xfs", "sbin/mkfs.btrfs", "sbin/mkfs.fat",
    "sbin/kexec", "usr/sbin/dropbear", "usr/bin/dropbearkey", "usr/bin/python3.11",
)  # fmt: skip

# Other names of these programs.
LINKS = {
    "usr/bin/ash": "dash",
    "usr/bin/bunzip2": "bzip2",
    "usr/bin/bzcat": "bzip2",
    "usr/bin/python3": "python3.11",
    "usr/bin/sh": "dash",
    "usr/bin/unxz": "xz",
    "usr/bin/xzcat": "xz",
    "usr/bin/unzstd": "zstd",
    "usr/bin/zstdcat": "zstd",
    "usr/sbin/mkfs.ext2": "mke2fs",
    "usr/sbin/mkfs.ext3": "mke2fs",
    "usr/sbin/mkfs.ext4": "mke2fs",
    "usr/sbin/mkfs.vfat": "mkfs.fat",
}

# Applets that would write to a disk in another way than the real program of the same purpose.
UNWANTED_APPLETS = frozenset({"dpkg", "dpkg-deb", "mkdosfs", "rpm", "rpm2cpio"})

LIBRARY_FOLDERS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64")

# Kept as they are in the packages.
FILES = ("etc/mke2fs.conf",)

# What is built into the kernel is skipped, and dependencies come by themselves.
KERNEL_MODULES = (
    "virtio_pci", "virtio_net", "virtio_blk", "virtio_scsi", "virtio_rng",
    "nvme", "ata_piix", "ata_generic", "sd_mod",
    "ext4", "xfs", "btrfs", "vfat", "nls_cp437", "nls_ascii", "nls_utf8", "nls_iso8859_1",
)  # fmt: skip

DIRECTORIES = {
    "dev": 0o755, "mnt/dest": 0o755, "proc": 0o555, "rambin": 0o755, "root": 0o700, "run": 0o755,
    "sys": 0o555, "tmp": 0o1777, "var/log": 0o755, "var/lock": 0o1777,
}  # fmt: skip

BLAKE3 = "blake3==1.0.11"
BLAKE3_SHA256 = "fe624bb87ee53d9770bec087631d7fd8f01eab0128693b8fe6b884d8c2cf0989"

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
