"""Step: unpacks the pre-install archive on the nodes and runs its script.

The environment's archive stands in for the cluster's.
"""

from collections.abc import Mapping, Sequence

from kadeploy_deployer.domain.outcome import Outcome
from kadeploy_deployer.domain.snapshot import ArchiveSnapshot
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.steps.script_archive import describe_archive, run_archives
from kadeploy_deployer.steps.step import StepContext


class Preinstall:
    """See the module. A script that was begun may have changed the disk, so it is not run a second time by itself."""

    name = "preinstall"
    partition_state = PartitionState.DEPLOYING
    timeout = 600.0
    timeout_reason = FailureReason.PREINSTALL_FAILED
    retries = 0

    def applies(self, context: StepContext) -> bool:
        """As in the protocol."""
        return any(_archive(context, node) is not None for node in context.nodes)

    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        """As in the protocol."""
        archive = _archive(context, node)
        return describe_archive(archive) if archive is not None else ["nothing: no pre-install archive"]

    async def run(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
        """As in the protocol."""
        archives = {node: [archive] if (archive := _archive(context, node)) else [] for node in nodes}
        reason = FailureReason.PREINSTALL_FAILED
        return await run_archives(context, nodes, archives, step=self.name, reason=reason)


def _archive(context: StepContext, node: str) -> ArchiveSnapshot | None:
    return context.environment.preinstall or context.profile(node).preinstall


PREINSTALL = Preinstall()
