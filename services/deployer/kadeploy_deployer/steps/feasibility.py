"""What a deployment cannot do, told before anything is touched."""

from kadeploy_deployer.domain.states import BootMethod
from kadeploy_deployer.steps.step import StepContext

MOUNTABLE = ("ext2", "ext3", "ext4", "xfs", "btrfs", "vfat")
"""File systems that the deployment environment can mount."""


def chainloads(context: StepContext) -> bool:
    """Returns whether the nodes' boot entry hands over to the loader of the target partition."""
    environment = context.environment
    return (
        context.spec.boot_method is BootMethod.CHAINLOAD
        or environment.boot_kind == "chainload"
        # Nothing can be taken out of a raw image without writing it first; GRUB reads the disk itself.
        or (environment.kind == "dd" and context.spec.boot_method is not BootMethod.GRUB)
    )


def boots_by_grub(context: StepContext) -> bool:
    """Returns whether GRUB, fetched over the network, boots the nodes from their own disk."""
    return context.spec.boot_method is BootMethod.GRUB and not chainloads(context)


def impossible(context: StepContext) -> str:  # noqa: PLR0911 - one for each reason
    """Returns in one sentence why the deployment cannot succeed, empty if nothing speaks against it."""
    environment, method = context.environment, context.spec.boot_method
    if environment.boot_kind == "multiboot":
        return f"{environment.name} boots a hypervisor, which is not available yet"
    if boots_by_grub(context) and not environment.kernel_path:
        return f"{environment.name} names no kernel, so GRUB cannot start it; deploy it by chainload"
    if boots_by_grub(context) and environment.file_system and environment.file_system not in MOUNTABLE:
        return f"GRUB cannot read {environment.file_system} on {environment.name}; it reads {', '.join(MOUNTABLE)}"
    if method is BootMethod.KEXEC and not environment.kernel_path:
        return f"{environment.name} names no kernel, so kexec cannot start it; deploy it without kexec"
    if environment.kind == "dd":
        if method is BootMethod.NETWORK and environment.boot_kind != "chainload":
            return (
                f"{environment.name} is a raw image, and its kernel cannot be booted over the network: record it with "
                f"the boot kind chainload if it has a loader of its own, or start it with kexec"
            )
        if environment.file_system and environment.file_system not in MOUNTABLE:
            return (
                f"the deployment environment cannot mount {environment.file_system}, so nothing could prove "
                f"{environment.name}; it mounts {', '.join(MOUNTABLE)}"
            )
    return ""
