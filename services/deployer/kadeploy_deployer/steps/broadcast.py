"""Step: copies the image to the node, in a broadcast that it shares with the others."""

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.domain.vocabulary import ImageKind
from kadeploy_deployer.ports import (
    BroadcastSink,
    BroadcastTarget,
    DigestDiffers,
    ReceiveFailed,
)
from kadeploy_deployer.steps.changed_file import file_changed
from kadeploy_deployer.steps.deployment_shell import working_host
from kadeploy_deployer.steps.mounts import DESTINATION, target_device
from kadeploy_deployer.steps.step import Step, StepContext

ENDING_SECONDS = 8.0
"""For the program on a node to end that was not done in time."""


class CopyImage(Step):
    """See the module. Each node says the digest of what it received; it has to be the registered one."""

    name = "broadcast"
    partition_state = PartitionState.DEPLOYING
    timeout = 1800.0
    failure_reason = FailureReason.TRANSFER_FAILED
    retries = 1

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return True

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        image, sink = context.environment.image, _sink(context, node)
        action = f"unpack it into {sink.target}" if sink.kind is ImageKind.TAR else f"write it to {sink.target}"
        sentences = [f"receive {image.uri} ({image.size_bytes:,} bytes), {action}, compare with {image.digest}"]
        if boot_choice.is_opaque(context.environment):
            sentences.append(
                "leave it as it is, without mount, scripts and keys: nothing here can read its file system"
            )
        return sentences

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        image = context.environment.image

        def on_progress(done: int, total: int) -> None:
            context.recorder.progress(node, self.name, done, total)

        target = BroadcastTarget(host=working_host(context, node), sink=_sink(context, node))
        # Before the step's own bound, so that the program on the node ends in order.
        timeout = max(context.timeout - ENDING_SECONDS, context.timeout / 2)
        try:
            received = await context.image.receive(target, timeout=timeout, on_progress=on_progress)
        except DigestDiffers as error:
            raise file_changed(context, image, error) from error
        except ReceiveFailed as error:
            failure = error.failure
            raise StepFailed(failure.reason, failure.description, retriable=failure.retriable) from error
        return replace(context.facts[node], image_digest=received.digest)


def _sink(context: StepContext, node: str) -> BroadcastSink:
    environment = context.environment
    target = DESTINATION if environment.kind is ImageKind.TAR else target_device(context, node)
    return BroadcastSink(kind=environment.kind, compression=environment.image.compression, target=target)


COPY_IMAGE = CopyImage()
