"""Step: brings the new system's kernel and initrd to the TFTP host and says that the nodes boot them next."""

from collections.abc import Sequence

from typing_extensions import override

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.snapshot import DiskIdentity, EnvironmentSnapshot, NodeSnapshot
from kadeploy_deployer.domain.states import BootMethod, FailureReason, PartitionState
from kadeploy_deployer.domain.vocabulary import BootKind
from kadeploy_deployer.nodes.probe import TOKEN_ARGUMENT
from kadeploy_deployer.ports import (
    Boot,
    BootChainload,
    BootFiles,
    BootGrubDisk,
    BootHypervisor,
    BootNetworkKernel,
    BootTarget,
    DigestDiffers,
)
from kadeploy_deployer.steps.changed_file import file_changed
from kadeploy_deployer.steps.feasibility import boots_by_grub, chainloads
from kadeploy_deployer.steps.script_variables import kernel_arguments
from kadeploy_deployer.steps.step import Step, StepContext, WritesBootFiles

LAST_LETTER = 25
TOKEN_SHOWN = "<token>"  # noqa: S105 - stands for a token in plans


class PrepareBoot(Step, WritesBootFiles):
    """See the module. Uploads are by content and entries are overwritten, so it may run again."""

    name = "boot_files"
    partition_state = PartitionState.DEPLOYING
    timeout = 900.0
    failure_reason = FailureReason.BOOT_FILES_FAILED
    retries = 1

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return True

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        if chainloads(context):
            machine = context.nodes[node]
            place = f"disk {machine.device}" if context.environment.whole_disk else f"partition {machine.partition}"
            return [f"let {node} boot the loader of {place}"]
        environment = context.environment
        if boots_by_grub(context):
            arguments = system_arguments(context, node, token=TOKEN_SHOWN)
            return [f"let GRUB boot {environment.kernel_path} on {node}'s own disk with {arguments}"]
        named = (environment.hypervisor_path, environment.kernel_path, environment.initrd_path)
        files = [path for path in named if path]
        arguments = system_arguments(context, node, token=TOKEN_SHOWN)
        return [f"take {', '.join(files)} out of the image to the TFTP host", f"boot them with {arguments}"]

    @override
    async def boot_target(self, context: StepContext, node: str) -> BootTarget | None:
        files = await _files(context) if needs_files(context) else None
        return system_target(context, node, files)

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        try:
            problem = await prepare_boot(context, node)
        except DigestDiffers as error:
            raise file_changed(context, context.environment.image, error) from error
        if problem:
            raise StepFailed(self.failure_reason, problem)
        return context.facts[node]


def system_arguments(context: StepContext, node: str, *, token: str) -> str:
    """Returns the command line of the new system's kernel. The user's own root= comes later, so it wins."""
    machine = context.nodes[node]
    words = [f"root={machine.root}", kernel_arguments(context, node)]
    return " ".join([*(word for word in words if word), f"{TOKEN_ARGUMENT}={token}"])


def system_target(context: StepContext, node: str, files: BootFiles | None) -> BootTarget:
    """Returns what a node boots next; `files` None: something on its own disk."""
    arguments = system_arguments(context, node, token=context.facts[node].system_token)
    if files is None:
        return disk_target(context.nodes[node], context.environment, context.spec.boot_method, arguments)
    return network_target(files, context.environment, arguments)


def disk_target(
    machine: NodeSnapshot, environment: EnvironmentSnapshot, method: BootMethod | None, arguments: str
) -> BootTarget:
    """Returns how an environment boots from its target partition. `arguments`: of its kernel, where one is named."""
    if boot_choice.boots_by_grub(method, environment):
        return BootGrubDisk(
            device=_firmware_name(machine),
            partition=machine.partition,
            kernel_path=environment.kernel_path,
            initrd_path=environment.initrd_path,
            arguments=arguments,
        )
    # The loader of a whole disk is in the disk's own boot record.
    return BootChainload(disk=_place(machine), partition=0 if environment.whole_disk else machine.partition)


def _place(machine: NodeSnapshot) -> int:
    """Returns the place of the target's disk among the node's, which is taken for that in the firmware's order."""
    devices = [disk.device for disk in machine.disks]
    return devices.index(machine.device) if machine.device in devices else 0


def _firmware_name(machine: NodeSnapshot) -> str:
    """Returns a name of the disk that tells its place in the firmware's order."""
    identified = machine.disk is not None and machine.disk.identity != DiskIdentity()
    return f"sd{chr(ord('a') + min(_place(machine), LAST_LETTER))}" if identified else machine.device


def network_target(files: BootFiles, environment: EnvironmentSnapshot, arguments: str) -> BootTarget:
    """Returns how uploaded files of an environment boot. `arguments`: of its kernel."""
    if environment.boot_kind is BootKind.MULTIBOOT:
        return BootHypervisor(
            hypervisor_digest=files.hypervisor_digest,
            hypervisor_arguments=environment.hypervisor_arguments,
            kernel_digest=files.kernel_digest,
            initrd_digest=files.initrd_digest,
            arguments=arguments,
        )
    return BootNetworkKernel(kernel_digest=files.kernel_digest, initrd_digest=files.initrd_digest, arguments=arguments)


async def prepare_boot(context: StepContext, node: str) -> str:
    """Uploads the files unless they are there, writes the entry, and returns a sentence if that failed, else "".

    Raises:
        ImageError, BootError: nothing was written.
    """
    boot, environment = context.ports.boot, context.environment
    files = None
    if needs_files(context):
        files = await _files(context)
        await upload_boot_files(boot, files, environment)
    target = {node: system_target(context, node, files)}
    problems = await boot.set_entries(target, {node: context.nodes[node]}, owner=context.deployment_id)
    return problems.get(node, "")


async def upload_boot_files(boot: Boot, files: BootFiles, environment: EnvironmentSnapshot) -> None:
    """Brings what boots an environment to the TFTP host. Raises BootError."""
    label = f"{environment.name} version {environment.version} of {environment.owner}"
    await boot.upload(files.kernel, digest=files.kernel_digest, description=f"kernel of {label}")
    if files.initrd is not None:
        await boot.upload(files.initrd, digest=files.initrd_digest, description=f"initrd of {label}")
    if files.hypervisor is not None:
        await boot.upload(files.hypervisor, digest=files.hypervisor_digest, description=f"hypervisor of {label}")


async def _files(context: StepContext) -> BootFiles:
    """Takes what boots the environment out of its image. Raises ImageError."""
    return await context.ports.images.boot_files(context.environment, user=context.owner)


def needs_files(context: StepContext) -> bool:
    """Returns whether kernel and initrd have to come from the TFTP host."""
    return boot_choice.needs_files(context.spec.boot_method, context.environment)


PREPARE_BOOT = PrepareBoot()
