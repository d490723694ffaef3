"""Step of a command: runs it as root on a node, and hands on what it prints as it comes."""

from typing_extensions import override

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.states import FailureReason, OperationNodeState
from kadeploy_deployer.ports import ShellHost
from kadeploy_deployer.steps.operation_step import OperationContext, OperationStep, failures_of_node

LONGEST_SECONDS = 24 * 3600.0


class RunCommand(OperationStep):
    """See the module. What is printed is kept nowhere, so a command whose reader is gone is not run."""

    name = "command"
    partition_state = OperationNodeState.DOING
    # The command has a bound of its own; this one is for what is around it.
    timeout = 2 * LONGEST_SECONDS
    failure_reason = FailureReason.COMMAND_TIMED_OUT
    retries = 0

    @override
    def applies(self, context: OperationContext, node: str) -> bool:
        return True

    @override
    async def run(self, context: OperationContext, node: str) -> NodeFacts:
        channel = context.command
        if channel is None:
            text = f"{node} was left alone: nobody reads what a command would print there"
            raise StepFailed(FailureReason.CANCELLED, text, retriable=False)
        # Whatever of ours runs there: a system that we deployed, or the deployment environment.
        address = context.nodes[node].ip_address
        host = ShellHost(name=node, address=address, host_keys=context.any_host_keys(node))

        async def on_part(content: bytes, is_error: bool) -> None:
            await channel.show(node, content, is_error)

        async def work() -> None:
            result = await context.ports.shell.run(
                host, channel.arguments, timeout=channel.timeout, stdin=channel.stdin, on_part=on_part
            )
            channel.exit_statuses[node] = result.exit_status

        with failures_of_node():
            async with context.at_once:
                await context.rights.must_have(node)
                await context.rights.hold_during(node, work())
        return context.facts[node]


RUN_COMMAND = RunCommand()
