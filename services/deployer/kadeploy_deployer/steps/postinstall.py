"""Step: unpacks the environment's post-install archives in order and runs their scripts on the new system."""

from collections.abc import Sequence

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.steps.script_archive import describe_archive, run_archives
from kadeploy_deployer.steps.step import StepContext


class Postinstall:
    """See the module. A failing script fails its node."""

    name = "postinstall"
    partition_state = PartitionState.DEPLOYING
    timeout = 900.0
    failure_reason = FailureReason.POSTINSTALL_FAILED
    retries = 0

    def applies(self, context: StepContext, node: str) -> bool:
        """As in the protocol."""
        return bool(context.environment.postinstalls)

    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        """As in the protocol."""
        return [line for archive in context.environment.postinstalls for line in describe_archive(archive)]

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        """As in the protocol."""
        archives, reason = context.environment.postinstalls, self.failure_reason
        await run_archives(context, node, archives, step=self.name, reason=reason)
        return context.facts[node]


POSTINSTALL = Postinstall()
