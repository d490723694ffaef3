"""Leaves nodes that failed so that somebody can use them: they boot their default again.

That is the cluster's default environment, if it has one that this deployment did not overwrite, and else their disk.
What a node runs is interrupted only when it is nobody's work: a node that still runs its previous system is not reset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.snapshot import DefaultSystemSnapshot
from kadeploy_deployer.domain.states import FailureReason, RebootLevel
from kadeploy_deployer.nodes.deployment_host import deployment_host
from kadeploy_deployer.nodes.each_node import all_failed, on_each_node
from kadeploy_deployer.nodes.ladder import Observation, reboot_over_ssh, try_look
from kadeploy_deployer.nodes.reboot_window import RebootWindow
from kadeploy_deployer.ports import BootError, BootFiles, BootLocalDisk, BootTarget, ImageError, ShellHost
from kadeploy_deployer.steps.boot_files import disk_target, network_target, upload_boot_files
from kadeploy_deployer.steps.deployment_shell import working_host
from kadeploy_deployer.steps.partition import writes_table
from kadeploy_deployer.steps.partition_table import partition_device
from kadeploy_deployer.steps.step import StepContext

RECOVERY_SECONDS = 180.0
WHO_SECONDS = 20.0


async def leave_bootable(context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
    """Lets the nodes boot their default and resets those that run nothing of use; bounded.

    Returns:
        One outcome per node; the reason of a failure is INTERNAL, the sentence says what to do.
    """
    machines = {node: context.nodes[node] for node in nodes}
    targets = await default_targets(context, nodes)
    try:
        problems = await context.ports.boot.set_entries(targets, machines, owner=context.deployment_id)
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


async def default_targets(context: StepContext, nodes: Sequence[str]) -> dict[str, BootTarget]:
    """Returns what nodes without a system boot."""
    files: dict[str, BootFiles | None] = {}
    targets: dict[str, BootTarget] = {}
    for node in nodes:
        machine, default = context.nodes[node], context.profile(node).default_system
        if context.spec.use_production_system and not context.facts[node].host_keys:
            # Its boot entry was not touched yet, and it runs what it ran before.
            continue
        targets[node] = BootLocalDisk()
        if default is None or _overwritten(context, node, default):
            continue
        environment, profile = default.environment, context.profile(node)
        method = boot_choice.chosen(None, environment, default=profile.boot_method)
        root = f"root={partition_device(default.device, default.partition)}"
        arguments = " ".join(filter(None, (root, environment.kernel_arguments or profile.kernel_arguments)))
        if not boot_choice.needs_files(method, environment):
            there = replace(machine, device=default.device, partition=default.partition)
            targets[node] = disk_target(there, environment, method, arguments)
            continue
        if machine.cluster not in files:
            files[machine.cluster] = await _default_files(context, node, default)
        found = files[machine.cluster]
        if found is not None:
            targets[node] = network_target(found, environment, arguments)
    return targets


def _overwritten(context: StepContext, node: str, default: DefaultSystemSnapshot) -> bool:
    machine = context.nodes[node]
    if default.device != machine.device:
        return False
    return default.partition == machine.partition or writes_table(context, node)


async def _default_files(context: StepContext, node: str, default: DefaultSystemSnapshot) -> BootFiles | None:
    environment = default.environment
    try:
        files = await context.ports.images.boot_files(environment, user=context.owner)
        await upload_boot_files(context.ports.boot, files, environment)
    except (BootError, ImageError) as problem:
        await context.recorder.remark(node, f"boots from its disk and not its default environment: {problem}")
        return None
    return files


async def _free(context: StepContext, node: str, window: RebootWindow) -> None:
    machine, facts = context.nodes[node], context.facts[node]
    if context.spec.use_production_system and not isinstance(
        await try_look(context, working_host(context, node), timeout=WHO_SECONDS), Observation
    ):
        # It still runs what it ran before.
        return
    in_deployment_environment = not isinstance(
        await try_look(context, deployment_host(context, node), timeout=WHO_SECONDS), Observation
    )
    if in_deployment_environment:
        await window.turn()
        await reboot_over_ssh(context.ports.shell, deployment_host(context, node), at_once=True)
        return
    keys = (*facts.previous_host_keys, *facts.host_keys)
    if keys:
        host = ShellHost(name=node, address=machine.ip_address, host_keys=keys)
        if not isinstance(await try_look(context, host, timeout=WHO_SECONDS), Observation):
            # It runs a system that was deployed to it: somebody may be at work there.
            return
    if not facts.deployment_boot_id:
        # It never came into our hands; it may run a system that we do not know.
        return
    if machine.commands.hard_reboot and await context.ports.power.is_on(machine) is not False:
        await window.turn()
        await context.ports.power.reboot(machine, RebootLevel.HARD)
