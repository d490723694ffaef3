"""Step of a power change: switches the power of a node.

Before it acts the journal says so. Whoever takes the operation over asks the site how the power is; what nothing can
prove is not done again.
"""

from dataclasses import replace

from typing_extensions import override

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.operation import PowerSpec
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.states import FailureReason, OperationNodeState, PowerAction, RebootLevel
from kadeploy_deployer.nodes.command_result import last_words
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.ports import ShellHost
from kadeploy_deployer.steps.operation_step import OperationContext, OperationStep, failures_of_node

SHUTDOWN_SECONDS = 40.0
OFF_SECONDS = 120.0
POLL_PAUSE = 3.0

# Answers before the machine goes down, so that the session ends in order.
_POWER_OFF = "(sleep 1; exec poweroff) </dev/null >/dev/null 2>&1 &"


class SwitchPower(OperationStep):
    """See the module."""

    name = "power"
    partition_state = OperationNodeState.DOING
    timeout = 3600.0
    failure_reason = FailureReason.POWER_FAILED
    retries = 0

    @override
    def applies(self, context: OperationContext, node: str) -> bool:
        return True

    @override
    async def run(self, context: OperationContext, node: str) -> NodeFacts:
        power = context.spec.power
        if power is None:
            raise StepFailed(FailureReason.INTERNAL, "the power change does not say what to do", retriable=False)
        with failures_of_node():
            async with context.at_once:
                if not (context.facts[node].begun and await _is_done(context, node, power)):
                    await context.rights.must_have(node)
                    await context.recorder.learn(node, replace(context.facts[node], begun=True))
                    await _switch(context, node, power)
        return context.facts[node]


async def _is_done(context: OperationContext, node: str, power: PowerSpec) -> bool:
    """Returns whether a power change that was begun has its effect. Raises StepFailed when nothing can prove it."""
    is_on = None if power.action is PowerAction.CYCLE else await context.ports.power.is_on(context.nodes[node])
    if is_on is None:
        text = f"{node} was under way when its deployer died or stopped, and nobody knows what became of it"
        raise StepFailed(FailureReason.OUTCOME_UNKNOWN, text, retriable=False)
    return is_on is (power.action is PowerAction.ON)


async def _switch(context: OperationContext, node: str, power: PowerSpec) -> None:
    machine, port = context.nodes[node], context.ports.power
    host = ShellHost(name=node, address=machine.ip_address, host_keys=context.any_host_keys(node))
    if power.action is PowerAction.ON:
        await port.power_on(machine)
    elif power.action is PowerAction.CYCLE:
        await port.reboot(machine, power.level or RebootLevel.VERY_HARD)
    elif power.level is RebootLevel.SOFT:
        await _shut_down(context, host)
    else:
        await port.power_off(machine)
    await context.ports.shell.forget(host)


async def _shut_down(context: OperationContext, host: ShellHost) -> None:
    """Lets the system end itself, and waits until the power is off where the site can tell."""
    result = await context.ports.shell.run(host, ("sh", "-c", _POWER_OFF, "poweroff"), timeout=SHUTDOWN_SECONDS)
    if result.exit_status:
        raise NodeFailed(f"{host.name} did not shut down: {last_words(result)}")
    clock = context.ports.clock
    deadline = clock.monotonic() + OFF_SECONDS
    while await context.ports.power.is_on(context.nodes[host.name]):
        if clock.monotonic() >= deadline:
            raise NodeFailed(f"{host.name} still has power {OFF_SECONDS:g} s after it was asked to shut down")
        await clock.sleep(POLL_PAUSE)


POWER = SwitchPower()
