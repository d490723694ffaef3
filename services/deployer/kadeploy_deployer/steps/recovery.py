"""Leaves nodes that failed so that somebody can use them: they boot from their disk again, and not over the network.

What a node runs is interrupted only when it is nobody's work: a node that still runs its previous system is not reset.
"""

from collections.abc import Mapping, Sequence

from kadeploy_deployer.app.ports import BootError, BootLocalDisk, ShellHost
from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.states import FailureReason, RebootLevel
from kadeploy_deployer.steps.deployment_shell import deployment_host
from kadeploy_deployer.steps.each_node import all_failed, on_each_node
from kadeploy_deployer.steps.ladder import Sight, reboot_over_ssh, try_look
from kadeploy_deployer.steps.reboot_window import RebootWindow
from kadeploy_deployer.steps.step import StepContext

RECOVERY_SECONDS = 180.0
WHO_SECONDS = 20.0


async def leave_bootable(context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
    """Lets the nodes boot from their disk and resets those that run nothing of use; bounded.

    Returns:
        One outcome per node; the reason of a failure is INTERNAL, the sentence says what to do.
    """
    machines = {node: context.nodes[node] for node in nodes}
    wishes = {node: BootLocalDisk() for node in nodes}
    try:
        problems = await context.ports.boot.set_entries(wishes, machines, owner=context.deployment_id)
    except BootError as error:
        return all_failed(nodes, FailureReason.INTERNAL, f"the node may boot over the network once more: {error}")
    windows: dict[str, RebootWindow] = {}
    for machine in machines.values():
        profile = context.profiles[machine.cluster]
        windows[machine.cluster] = RebootWindow(
            size=profile.reboot_window_size, pause=profile.reboot_window_pause, clock=context.ports.clock
        )

    async def one(node: str) -> Outcome:
        if node in problems:
            return Failure(reason=FailureReason.INTERNAL, description=problems[node])
        await _free(context, node, windows[machines[node].cluster])
        return None

    return await on_each_node(
        nodes, one, reason=FailureReason.INTERNAL, timeout=RECOVERY_SECONDS, at_once=max(len(nodes), 1)
    )


async def _free(context: StepContext, node: str, window: RebootWindow) -> None:
    machine, facts = context.nodes[node], context.facts[node]
    in_deployment_environment = not isinstance(
        await try_look(context, deployment_host(context, node), timeout=WHO_SECONDS), Sight
    )
    if in_deployment_environment:
        await window.turn()
        await reboot_over_ssh(context.ports.shell, deployment_host(context, node), at_once=True)
        return
    keys = (*facts.previous_host_keys, *facts.host_keys)
    if keys:
        host = ShellHost(name=node, address=machine.ip_address, host_keys=keys)
        if not isinstance(await try_look(context, host, timeout=WHO_SECONDS), Sight):
            # It runs a system that was deployed to it: somebody may be at work there.
            return
    if not facts.deployment_boot_id:
        # It never came into our hands; it may run a system that we do not know.
        return
    if machine.commands.hard_reboot and await context.ports.power.is_on(machine) is not False:
        await window.turn()
        await context.ports.power.reboot(machine, RebootLevel.HARD)
