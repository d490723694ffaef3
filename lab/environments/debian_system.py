"""The debian environments: Debian 12 with systemd and OpenSSH, its own kernel and initrd, and little else."""

import os
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kadeploy_deployenv.apt import SUITE, Apt
from kadeploy_deployenv.archive import FIXED_TIME
from kadeploy_deployenv.failure import BuildFailure

HOME = Path(__file__).parent / "debian"

_SECONDS = 1800
_LINES_OF_LOG = 15
_PACKAGES = (
    "initramfs-tools", "iproute2", "iputils-ping", "kmod", "less", "linux-image-cloud-amd64", "netbase",
    "openssh-server", "procps", "systemd-sysv", "udev", "usr-is-merged", "zstd",
)  # fmt: skip
# What a host of Kadeploy's own packages has besides: what they depend on and recommend, and a TFTP server.
SERVICE_HOST_PACKAGES = (
    "adduser", "bzip2", "grub-common", "grub-efi-amd64-bin", "grub-pc-bin", "ipmitool", "openssh-client", "pxelinux",
    "python3", "sqlite3", "syslinux-common", "tftpd-hpa", "xz-utils",
)  # fmt: skip

# Merges /usr beforehand: otherwise the package that does it brings the whole of Perl.
_HOOKS = "/usr/share/mmdebstrap/hooks/merged-usr"

# Of no use on a node, and each file costs time when an image is unpacked: documentation, translations, tables of
# characters, drivers of devices that a virtual machine does not have.
_EXCLUDED = (
    "/usr/share/bash-completion/*", "/usr/share/bug/*", "/usr/share/doc/*", "/usr/share/doc-base/*",
    "/usr/share/i18n/*", "/usr/share/info/*", "/usr/share/lintian/*", "/usr/share/locale/*",
    "/usr/share/man/*", "/usr/share/zoneinfo/*", "/usr/share/zsh/*",
    "/usr/lib/systemd/catalog/*", "/usr/lib/udev/hwdb.d/*", "/lib/udev/hwdb.d/*",
    "/usr/lib/x86_64-linux-gnu/gconv/*", "/usr/lib/x86_64-linux-gnu/perl-base/unicore/lib/*",
    *(
        f"/lib/modules/*/kernel/{kind}/*"
        for kind in (
            "drivers/comedi", "drivers/cxl", "drivers/dax", "drivers/hid", "drivers/hv", "drivers/infiniband",
            "drivers/leds", "drivers/media", "drivers/net/ethernet", "drivers/net/wwan", "drivers/nvdimm",
            "drivers/platform", "drivers/power", "drivers/target", "drivers/thermal", "drivers/uio",
            "drivers/watchdog", "drivers/xen", "fs/ceph", "fs/nfsd", "fs/nls", "fs/smb", "net/ceph", "net/dccp",
            "net/rds", "net/sctp", "net/tipc",
        )
    ),
)  # fmt: skip
_KEPT = (
    "/usr/share/zoneinfo/UTC", "/usr/share/zoneinfo/Etc", "/usr/share/zoneinfo/Etc/*",
    "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules*", "/usr/lib/x86_64-linux-gnu/gconv/UTF*",
    "/usr/lib/x86_64-linux-gnu/gconv/ISO8859-1.so",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianSystem:
    """A root file system as a tar file, and where its kernel and initrd are."""

    archive: Path
    kernel: str
    initrd: str
    unpacked_bytes: int
    file_count: int
    packages: dict[str, str]


def debian_system(scratch: Path, *, apt: Apt, packages: Sequence[str] = ()) -> DebianSystem:
    """Builds the root file system into `scratch`; needs root, because packages are configured in a chroot.

    `packages` come besides those of every system.
    """
    if os.geteuid() != 0:
        raise BuildFailure("Debian packages are configured in a chroot, which needs root; run this as root")
    sources = scratch / "sources.list"
    apt.update()
    sources.write_text("".join(f"{line}\n" for line in apt.sources()))
    archive = scratch / "debian.tar"
    command = [
        "mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join((*_PACKAGES, *packages))}",
        *(f"--dpkgopt=path-exclude={path}" for path in _EXCLUDED),
        *(f"--dpkgopt=path-include={path}" for path in _KEPT),
        f"--hook-dir={_HOOKS}", f"--essential-hook={HOME / 'configure'}", f"--customize-hook={HOME / 'customize'}",
        SUITE, str(archive), str(sources),
    ]  # fmt: skip
    environment = {**os.environ, "TMPDIR": str(scratch), "LC_ALL": "C", "SOURCE_DATE_EPOCH": str(FIXED_TIME)}
    try:
        subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
            timeout=_SECONDS,
        )
    except FileNotFoundError:
        raise BuildFailure("mmdebstrap is not installed; install the Debian package mmdebstrap") from None
    except subprocess.TimeoutExpired:
        raise BuildFailure(f"mmdebstrap did not finish in {_SECONDS} s; try again") from None
    except subprocess.CalledProcessError as error:
        last = "\n".join(error.stdout.splitlines()[-_LINES_OF_LOG:])
        raise BuildFailure(f"mmdebstrap failed; it said at last:\n{last}") from error
    return _inspect(archive)


def _inspect(archive: Path) -> DebianSystem:
    with tarfile.open(archive) as tar:
        members = [(member.name.removeprefix("."), member.size) for member in tar]
        status = tar.extractfile("./var/lib/dpkg/status")
        packages = installed_packages(status.read().decode() if status else "")
    return DebianSystem(
        archive=archive,
        kernel=_the_one(members, "/boot/vmlinuz-"),
        initrd=_the_one(members, "/boot/initrd.img-"),
        unpacked_bytes=sum(size for _, size in members),
        file_count=len(members),
        packages=packages,
    )


def installed_packages(status: str) -> dict[str, str]:
    """Returns the version of each package that dpkg's status file names."""
    versions = {}
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if "Package" in fields:
            versions[fields["Package"]] = fields["Version"]
    return versions


def _the_one(members: list[tuple[str, int]], prefix: str) -> str:
    found = [name for name, _ in members if name.startswith(prefix)]
    if len(found) != 1:
        raise BuildFailure(f"the system should have one file {prefix}*, but has {len(found)}")
    return found[0]
