"""Step: brings the new system's kernel and initrd to the TFTP host and says that the nodes boot them next."""

import asyncio
from collections.abc import Mapping, Sequence

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, NodeSnapshot
from kadeploy_deployer.domain.states import BootMethod, FailureReason, PartitionState
from kadeploy_deployer.nodes.each_node import all_failed
from kadeploy_deployer.nodes.probe import TOKEN_ARGUMENT
from kadeploy_deployer.ports import (
    Boot,
    BootChainload,
    BootError,
    BootFiles,
    BootGrubDisk,
    BootHypervisor,
    BootNetworkKernel,
    BootTarget,
    DigestDiffers,
    ImageError,
)
from kadeploy_deployer.steps.changed_file import file_changed
from kadeploy_deployer.steps.feasibility import boots_by_grub, chainloads
from kadeploy_deployer.steps.script_variables import kernel_arguments
from kadeploy_deployer.steps.step import StepContext

TOKEN_SHOWN = "<token>"  # noqa: S105 - stands for a token in plans


class PrepareBoot:
    """See the module. Uploads are by content and entries are overwritten, so it may run again."""

    name = "boot_files"
    partition_state = PartitionState.DEPLOYING
    timeout = 900.0
    timeout_reason = FailureReason.BOOT_FILES_FAILED
    retries = 1

    def applies(self, context: StepContext) -> bool:
        """As in the protocol."""
        return True

    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        """As in the protocol."""
        if chainloads(context):
            return [f"let {node} boot the loader of partition {context.nodes[node].partition}"]
        environment = context.environment
        if boots_by_grub(context):
            arguments = system_arguments(context, node, token=TOKEN_SHOWN)
            return [f"let GRUB boot {environment.kernel_path} on {node}'s own disk with {arguments}"]
        named = (environment.hypervisor_path, environment.kernel_path, environment.initrd_path)
        files = [path for path in named if path]
        arguments = system_arguments(context, node, token=TOKEN_SHOWN)
        return [f"take {', '.join(files)} out of the image to the TFTP host", f"boot them with {arguments}"]

    async def boot_targets(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, BootTarget]:
        """As in the protocol. Raises ImageError."""
        files = await _files(context) if needs_files(context) else None
        return system_targets(context, nodes, files)

    async def run(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
        """As in the protocol."""
        reason = self.timeout_reason
        try:
            async with asyncio.timeout(context.timeout):
                problems = await prepare_boot(context, nodes)
        except DigestDiffers as error:
            return file_changed(context, nodes, context.environment.image, error)
        except ImageError as error:
            return all_failed(nodes, reason, str(error), retriable=False)
        except BootError as error:
            return all_failed(nodes, reason, str(error))
        except TimeoutError:
            return all_failed(nodes, reason, f"the boot files were not ready within {context.timeout:g} s")
        return {
            node: Failure(reason=reason, description=problems[node]) if node in problems else None for node in nodes
        }


def system_arguments(context: StepContext, node: str, *, token: str) -> str:
    """Returns the command line of the new system's kernel. The user's own root= comes later, so it wins."""
    machine = context.nodes[node]
    words = [f"root={machine.partition_device(machine.partition)}", kernel_arguments(context, node)]
    return " ".join([*(word for word in words if word), f"{TOKEN_ARGUMENT}={token}"])


def system_targets(context: StepContext, nodes: Sequence[str], files: BootFiles | None) -> dict[str, BootTarget]:
    """Returns what the nodes boot next; `files` None: something on their own disk."""
    environment, method = context.environment, context.spec.boot_method
    targets: dict[str, BootTarget] = {}
    for node in nodes:
        arguments = system_arguments(context, node, token=context.facts[node].system_token)
        if files is None:
            targets[node] = disk_target(context.nodes[node], environment, method, arguments)
        else:
            targets[node] = network_target(files, environment, arguments)
    return targets


def disk_target(
    machine: NodeSnapshot, environment: EnvironmentSnapshot, method: BootMethod | None, arguments: str
) -> BootTarget:
    """Returns how an environment boots from its target partition. `arguments`: of its kernel, where one is named."""
    if boot_choice.boots_by_grub(method, environment):
        return BootGrubDisk(
            device=machine.device,
            partition=machine.partition,
            kernel_path=environment.kernel_path,
            initrd_path=environment.initrd_path,
            arguments=arguments,
        )
    devices = [disk.device for disk in machine.disks]
    disk = devices.index(machine.device) if machine.device in devices else 0
    return BootChainload(disk=disk, partition=machine.partition)


def network_target(files: BootFiles, environment: EnvironmentSnapshot, arguments: str) -> BootTarget:
    """Returns how uploaded files of an environment boot. `arguments`: of its kernel."""
    if environment.boot_kind == "multiboot":
        return BootHypervisor(
            hypervisor_digest=files.hypervisor_digest,
            hypervisor_arguments=environment.hypervisor_arguments,
            kernel_digest=files.kernel_digest,
            initrd_digest=files.initrd_digest,
            arguments=arguments,
        )
    return BootNetworkKernel(kernel_digest=files.kernel_digest, initrd_digest=files.initrd_digest, arguments=arguments)


async def prepare_boot(context: StepContext, nodes: Sequence[str]) -> Mapping[str, str]:
    """Uploads the files unless they are there, writes the entries, and returns a sentence for each that failed.

    Raises:
        ImageError, BootError: nothing was written.
    """
    boot, environment = context.ports.boot, context.environment
    files = None
    if needs_files(context):
        files = await _files(context)
        await upload_boot_files(boot, files, environment)
    machines = {node: context.nodes[node] for node in nodes}
    return await boot.set_entries(system_targets(context, nodes, files), machines, owner=context.deployment_id)


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
