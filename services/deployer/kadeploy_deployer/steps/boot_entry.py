"""Step of a reboot: says what a node boots next, as the request wants it."""

from typing_extensions import override

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.operation import DeploymentKernel, PresentEntry
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.states import FailureReason, OperationNodeState
from kadeploy_deployer.nodes.probe import NODE_ARGUMENT, TOKEN_ARGUMENT
from kadeploy_deployer.ports import BootDeploymentKernel
from kadeploy_deployer.steps.boot_files import prepare_boot
from kadeploy_deployer.steps.deployed_system import boot_context, in_words, system_of
from kadeploy_deployer.steps.feasibility import impossible
from kadeploy_deployer.steps.operation_step import OperationContext, OperationStep, failures_of_node


class WriteBootEntry(OperationStep):
    """See the module. Uploads are by content and entries are overwritten, so it may run again."""

    name = "boot_entry"
    partition_state = OperationNodeState.DOING
    timeout = 900.0
    failure_reason = FailureReason.BOOT_FILES_FAILED
    retries = 0

    @override
    def applies(self, context: OperationContext, node: str) -> bool:
        return not isinstance(context.spec.reboot.target, PresentEntry)

    @override
    async def run(self, context: OperationContext, node: str) -> NodeFacts:
        target = context.spec.reboot.target
        with failures_of_node():
            if isinstance(target, DeploymentKernel):
                problem = await _let_boot_deployment_kernel(context, node, target)
            else:
                problem = await _let_boot_system(context, node)
        if problem:
            raise StepFailed(self.failure_reason, problem, retriable=False)
        return context.facts[node]


async def _let_boot_system(context: OperationContext, node: str) -> str:
    """Prepares the boot of the deployed system and returns a sentence if that failed, else ""."""
    system = system_of(context, node)
    if system is None:
        what = in_words(context.spec.reboot.target, context.nodes[node])
        raise StepFailed(FailureReason.NOTHING_DEPLOYED_THERE, f"nothing is deployed on {node} that is {what}")
    wanted = boot_context(context, node, system)
    return impossible(wanted) or await prepare_boot(wanted, node)


async def _let_boot_deployment_kernel(context: OperationContext, node: str, target: DeploymentKernel) -> str:
    profile = context.profile(node)
    words = (
        context.spec.reboot.kernel_arguments or profile.deployment_kernel_arguments,
        f"{TOKEN_ARGUMENT}={context.facts[node].system_token}",
        f"{NODE_ARGUMENT}={node}",
    )
    entry = BootDeploymentKernel(
        label=target.label or profile.deployment_kernel_label, arguments=" ".join(word for word in words if word)
    )
    machine = context.nodes[node]
    problems = await context.ports.boot.set_entries({node: entry}, {node: machine}, owner=context.deployment_id)
    return problems.get(node, "")


WRITE_BOOT_ENTRY = WriteBootEntry()
