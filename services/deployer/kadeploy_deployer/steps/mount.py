"""Steps: mounts the target, before the copy for an archive, after it for a raw image."""

from collections.abc import Mapping, Sequence

from kadeploy_deployer.domain.outcome import Outcome
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.nodes.each_node import on_each_node
from kadeploy_deployer.steps.deployment_shell import command
from kadeploy_deployer.steps.mounts import DESTINATION, Mount, let_go, mounts
from kadeploy_deployer.steps.step import StepContext


class MountTarget:
    """Mounts the target where the scripts and the copy expect it. Does nothing when it is mounted already."""

    partition_state = PartitionState.DEPLOYING
    timeout = 120.0
    timeout_reason = FailureReason.MOUNT_FAILED
    retries = 1

    def __init__(self, *, name: str, kind: str) -> None:
        """`name`: of the step; `kind`: of the images that it is for."""
        self.name = name
        self._kind = kind

    def applies(self, context: StepContext) -> bool:
        """As in the protocol."""
        return context.environment.kind == self._kind

    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        """As in the protocol."""
        return [f"run {' '.join(_mount(context, node))}"]

    async def run(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
        """As in the protocol."""

        async def one(node: str) -> Outcome:
            arguments = _mount(context, node)
            device = context.nodes[node].partition_device(context.nodes[node].partition)
            if Mount(device=device, point=DESTINATION) in await mounts(context, node):
                return None
            await let_go(context, node, [device])
            await command(context, node, ("mkdir", "-p", DESTINATION), what=f"making {DESTINATION}")
            await command(context, node, arguments, what=f"mounting {device}", timeout=context.timeout)
            return None

        ended = context.recorder.ended
        return await on_each_node(nodes, one, reason=self.timeout_reason, timeout=context.timeout, ended=ended)


def _mount(context: StepContext, node: str) -> tuple[str, ...]:
    machine = context.nodes[node]
    file_system = context.environment.file_system
    kind = ("-t", file_system) if file_system else ()
    return ("mount", *kind, machine.partition_device(machine.partition), DESTINATION)


MOUNT = MountTarget(name="mount", kind="tar")
MOUNT_IMAGE = MountTarget(name="mount_image", kind="dd")
