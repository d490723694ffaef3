"""Step: unpacks the pre-install archive on the nodes and runs its script.

The environment's archive stands in for the cluster's.
"""

from collections.abc import Sequence

from typing_extensions import override

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.steps.needed_files import preinstall_of
from kadeploy_deployer.steps.script_archive import describe_archive, run_archives
from kadeploy_deployer.steps.step import Step, StepContext


class Preinstall(Step):
    """See the module. A script that was begun may have changed the disk, so it is not run a second time by itself."""

    name = "preinstall"
    partition_state = PartitionState.DEPLOYING
    timeout = 600.0
    failure_reason = FailureReason.PREINSTALL_FAILED
    retries = 0

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return preinstall_of(context, node) is not None

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        archive = preinstall_of(context, node)
        return describe_archive(archive) if archive is not None else []

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        archives = [archive] if (archive := preinstall_of(context, node)) else []
        await run_archives(context, node, archives, step=self.name, reason=self.failure_reason)
        return context.facts[node]


PREINSTALL = Preinstall()
