"""How a new system boots: what was asked for, what its environment needs, what its cluster does by default.

A deployment keeps the choice from its creation on, so that a reboot months later boots its systems the same way.
"""

from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot
from kadeploy_deployer.domain.states import BootMethod
from kadeploy_deployer.domain.vocabulary import BootKind, ImageKind, OperatingSystem

MOUNTABLE = ("ext2", "ext3", "ext4", "xfs", "btrfs", "vfat")
"""File systems that the deployment environment can mount, and GRUB can read."""


def is_opaque(environment: EnvironmentSnapshot) -> bool:
    """Returns whether an environment is a raw image that nothing here can mount: nothing is put into it or read."""
    if environment.kind is not ImageKind.DD:
        return False
    if environment.whole_disk and not environment.system_partition:
        return True
    if not environment.file_system:
        return environment.operating_system is OperatingSystem.OTHER
    return environment.file_system not in MOUNTABLE


def chosen(asked: BootMethod | None, environment: EnvironmentSnapshot, *, default: BootMethod) -> BootMethod:
    """Returns how an environment boots. `default`: its cluster's, for environments that leave the choice open."""
    if asked is not None:
        return asked
    if environment.boot_kind is BootKind.CHAINLOAD or is_opaque(environment):
        return BootMethod.CHAINLOAD
    if environment.boot_kind is BootKind.MULTIBOOT:
        return BootMethod.NETWORK
    if environment.kind is ImageKind.DD and default is BootMethod.NETWORK:
        # Nothing can be taken out of a raw image without writing it first; GRUB reads the disk itself.
        return BootMethod.GRUB
    if default is BootMethod.KEXEC and environment.kexec_refused:
        return BootMethod.GRUB if environment.kind is ImageKind.DD else BootMethod.NETWORK
    return default


def chainloads(method: BootMethod | None, environment: EnvironmentSnapshot) -> bool:
    """Returns whether the boot entry hands over to the loader of the target partition."""
    if method in {None, BootMethod.NETWORK}:
        return environment.boot_kind is BootKind.CHAINLOAD
    return method is BootMethod.CHAINLOAD


def boots_by_grub(method: BootMethod | None, environment: EnvironmentSnapshot) -> bool:
    """Returns whether GRUB, fetched over the network, boots the nodes from their own disk.

    That is also what a raw image boots by after its first start, which kexec made.
    """
    return method is BootMethod.GRUB or (method is BootMethod.KEXEC and environment.kind is ImageKind.DD)


def needs_files(method: BootMethod | None, environment: EnvironmentSnapshot) -> bool:
    """Returns whether kernel and initrd have to be taken out of the image, for the TFTP host."""
    return not chainloads(method, environment) and not boots_by_grub(method, environment)


def impossible(method: BootMethod | None, environment: EnvironmentSnapshot) -> str:  # noqa: PLR0911 - one for each reason
    """Returns in one sentence why an environment cannot be booted so, empty if nothing speaks against it."""
    name = environment.name
    if environment.boot_kind is BootKind.MULTIBOOT and method in {BootMethod.GRUB, BootMethod.KEXEC}:
        return f"{name} boots a hypervisor, which {method} cannot start; it boots over the network"
    if method is BootMethod.NETWORK and environment.boot_kind is BootKind.CHAINLOAD:
        return f"{name} brings its own loader and names no kernel to boot over the network; deploy it by chainload"
    if method is BootMethod.GRUB and not environment.kernel_path:
        return f"{name} names no kernel, so GRUB cannot start it; deploy it by chainload"
    if method is BootMethod.KEXEC and not environment.kernel_path:
        return f"{name} names no kernel, so kexec cannot start it; deploy it without kexec"
    if method is BootMethod.KEXEC and environment.kexec_refused:
        return f"{name} says of itself that kexec cannot start it (options.kexec: false); deploy it without kexec"
    if is_opaque(environment) and method is not BootMethod.CHAINLOAD:
        return (
            f"{name} has a file system that nothing here can read; its own loader starts it, so deploy it by chainload"
        )
    if boots_by_grub(method, environment) and environment.file_system and environment.file_system not in MOUNTABLE:
        return f"GRUB cannot read {environment.file_system} on {name}; it reads {', '.join(MOUNTABLE)}"
    if environment.kind is ImageKind.DD and needs_files(method, environment):
        return (
            f"{name} is a raw image, and its kernel cannot be booted over the network: boot it by grub from the node's "
            f"disk, by chainload if it has a loader of its own, or by kexec"
        )
    return ""
