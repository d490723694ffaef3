"""Step: copies the image to all nodes at once."""

from collections.abc import Mapping, Sequence

from kadeploy_deployer.app.ports import (
    BroadcastSession,
    BroadcastSink,
    BroadcastTarget,
    DigestDiffers,
    ImageError,
    ReceiveFailed,
)
from kadeploy_deployer.domain.outcome import Outcome
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.steps.changed_file import file_changed
from kadeploy_deployer.steps.deployment_shell import working_host
from kadeploy_deployer.steps.each_node import all_failed, on_each_node
from kadeploy_deployer.steps.mounts import DESTINATION
from kadeploy_deployer.steps.step import StepContext

_ENDING_SECONDS = 8.0
"""For the programs on nodes to end that were not done in time, beyond the step's own bound."""


class CopyImage:
    """See the module. Each node proves what it received, and that is what is believed."""

    name = "broadcast"
    partition_state = PartitionState.DEPLOYING
    timeout = 1800.0
    timeout_reason = FailureReason.TRANSFER_FAILED
    retries = 1

    def applies(self, context: StepContext) -> bool:
        """As in the protocol."""
        return True

    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        """As in the protocol."""
        image, sink = context.environment.image, _sink(context, node)
        action = f"unpack it into {sink.target}" if sink.kind == "tar" else f"write it to {sink.target}"
        return [f"receive {image.uri} ({image.size_bytes:,} bytes), {action}, compare with {image.digest}"]

    async def run(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
        """As in the protocol."""
        image = context.environment.image
        deadline = context.ports.clock.monotonic() + context.timeout
        try:
            path = await context.ports.images.fetch(image)
        except DigestDiffers as error:
            return file_changed(context, nodes, image, error)
        except ImageError as error:
            return all_failed(nodes, FailureReason.TRANSFER_FAILED, str(error), retriable=False)
        async with context.ports.broadcast.session(path, digest=image.digest) as session:
            left = max(0.0, deadline - context.ports.clock.monotonic())
            return await on_each_node(
                nodes,
                lambda node: self._receive(context, node, session, left),
                reason=self.timeout_reason,
                timeout=left + _ENDING_SECONDS,
                # Not a few after the others: they are all in one chain.
                at_once=len(nodes),
                ended=context.recorder.ended,
            )

    async def _receive(self, context: StepContext, node: str, session: BroadcastSession, timeout: float) -> Outcome:
        def on_progress(done: int, total: int) -> None:
            context.recorder.progress(node, self.name, done, total)

        target = BroadcastTarget(host=working_host(context, node), sink=_sink(context, node))
        try:
            received = await session.receive(target, timeout=timeout, on_progress=on_progress)
        except ReceiveFailed as error:
            return error.failure
        context.facts[node].image_digest = received.digest
        await context.recorder.facts(node, context.facts[node])
        return None


def _sink(context: StepContext, node: str) -> BroadcastSink:
    environment, machine = context.environment, context.nodes[node]
    device = machine.partition_device(machine.partition)
    target = DESTINATION if environment.kind == "tar" else device
    return BroadcastSink(kind=environment.kind, compression=environment.image.compression, target=target)


COPY_IMAGE = CopyImage()
