"""Step: unpacks the environment's post-install archives in order and runs their scripts on the new system."""

from collections.abc import Sequence

from typing_extensions import override

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.steps.script_archive import describe_archive, run_archives
from kadeploy_deployer.steps.step import Step, StepContext


class Postinstall(Step):
    """See the module. A failing script fails its node."""

    name = "postinstall"
    partition_state = PartitionState.DEPLOYING
    timeout = 900.0
    failure_reason = FailureReason.POSTINSTALL_FAILED
    retries = 0

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return bool(context.environment.postinstalls) and not boot_choice.is_opaque(context.environment)

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        return [line for archive in context.environment.postinstalls for line in describe_archive(archive)]

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        archives, reason = context.environment.postinstalls, self.failure_reason
        await run_archives(context, node, archives, step=self.name, reason=reason)
        return context.facts[node]


POSTINSTALL = Postinstall()
