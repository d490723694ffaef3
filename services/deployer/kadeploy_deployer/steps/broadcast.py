"""Step: copies the image to all nodes at once."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.nodes.each_node import all_failed
from kadeploy_deployer.ports import BroadcastSink, BroadcastTarget, DigestDiffers, ImageError
from kadeploy_deployer.steps.changed_file import file_changed
from kadeploy_deployer.steps.deployment_shell import working_host
from kadeploy_deployer.steps.mounts import DESTINATION
from kadeploy_deployer.steps.step import StepContext


class CopyImage:
    """See the module. Each node says the digest of what it received, and that is what is believed."""

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
        complete: dict[str, float] = {}

        def on_progress(node: str, done: int, total: int) -> None:
            if done >= total:
                complete[node] = context.ports.clock.now()
            context.recorder.progress(node, self.name, done, total)

        # Neighbours in the chain are neighbours on the network, as far as addresses can tell.
        order = sorted(nodes, key=lambda node: IPv4Address(context.nodes[node].ip_address))
        try:
            async with context.ports.images.fetch(image, user=context.owner) as file:
                received = await context.ports.broadcast.send(
                    file,
                    digest=image.digest,
                    user=context.owner,
                    targets=[
                        BroadcastTarget(host=working_host(context, node), sink=_sink(context, node)) for node in order
                    ],
                    timeout=context.timeout,
                    on_progress=on_progress,
                )
        except DigestDiffers as error:
            return file_changed(context, nodes, image, error)
        except ImageError as error:
            return all_failed(nodes, FailureReason.TRANSFER_FAILED, str(error), retriable=False)
        outcomes: dict[str, Outcome] = {}
        for node in nodes:
            if node not in received:
                description = f"the broadcast said nothing about {node}"
                outcomes[node] = Failure(reason=FailureReason.TRANSFER_FAILED, description=description)
                continue
            outcomes[node] = received[node].outcome
            context.facts[node].image_digest = received[node].digest
        # Together, so that they share a transaction.
        await asyncio.gather(*(context.recorder.facts(node, context.facts[node]) for node in received))
        # In the order in which they were complete, as whoever follows the deployment reads it.
        told = sorted(outcomes, key=lambda node: complete.get(node, math.inf))
        await asyncio.gather(*(context.recorder.ended(node, outcomes[node], at=complete.get(node)) for node in told))
        return outcomes


def _sink(context: StepContext, node: str) -> BroadcastSink:
    environment, machine = context.environment, context.nodes[node]
    device = machine.partition_device(machine.partition)
    target = DESTINATION if environment.kind == "tar" else device
    return BroadcastSink(kind=environment.kind, compression=environment.image.compression, target=target)


COPY_IMAGE = CopyImage()
