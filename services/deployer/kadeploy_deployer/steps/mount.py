"""Steps: mounts the target, before the copy for an archive, after it for a raw image."""

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.domain.vocabulary import ImageKind
from kadeploy_deployer.steps.deployment_shell import command
from kadeploy_deployer.steps.mounts import DESTINATION, Mount, let_go, mounts
from kadeploy_deployer.steps.partition import wait_for_devices
from kadeploy_deployer.steps.partition_uuid import read_partition_uuid
from kadeploy_deployer.steps.step import Step, StepContext


class MountTarget(Step):
    """Mounts the target where the scripts and the copy expect it. Does nothing when it is mounted already."""

    partition_state = PartitionState.DEPLOYING
    timeout = 120.0
    failure_reason = FailureReason.MOUNT_FAILED
    retries = 1

    def __init__(self, *, name: str, kind: ImageKind) -> None:
        """`name`: of the step; `kind`: of the images that it is for."""
        self.name = name
        self._kind = kind

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return context.environment.kind == self._kind and not boot_choice.is_opaque(context.environment)

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        reread = [f"run {' '.join(_reread(context, node))}"] if context.spec.whole_disk else []
        return [*reread, f"run {' '.join(_mount(context, node))}"]

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        device = context.nodes[node].partition_device(context.nodes[node].partition)
        if Mount(device=device, point=DESTINATION) not in await mounts(context, node):
            await let_go(context, node, [device])
            if context.spec.whole_disk:
                await command(context, node, _reread(context, node), what="reading the new partition table")
                await wait_for_devices(context, node, context.nodes[node].disk_device, [device])
            await command(context, node, ("mkdir", "-p", DESTINATION), what=f"making {DESTINATION}")
            arguments = _mount(context, node)
            await command(context, node, arguments, what=f"mounting {device}", timeout=context.timeout)
        if context.spec.whole_disk:
            return replace(context.facts[node], partition_uuid=await read_partition_uuid(context, node))
        return context.facts[node]


def _reread(context: StepContext, node: str) -> tuple[str, ...]:
    return ("blockdev", "--rereadpt", context.nodes[node].disk_device)


def _mount(context: StepContext, node: str) -> tuple[str, ...]:
    machine = context.nodes[node]
    file_system = context.environment.file_system
    kind = ("-t", file_system) if file_system else ()
    return ("mount", *kind, machine.partition_device(machine.partition), DESTINATION)


MOUNT = MountTarget(name="mount", kind=ImageKind.TAR)
MOUNT_IMAGE = MountTarget(name="mount_image", kind=ImageKind.DD)
