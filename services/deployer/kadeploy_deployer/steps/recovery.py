"""Leaves nodes that failed so that somebody can use them: they boot their default again.

That is the cluster's default environment, if it has one that this deployment did not overwrite, and else their disk.
What a node runs is interrupted only when it is nobody's work: a node that still runs its previous system is not reset.
"""

from dataclasses import replace

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.snapshot import DefaultSystemSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.nodes.deployment_host import deployment_host
from kadeploy_deployer.nodes.ladder import Observation, reboot_over_ssh, try_look
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.ports import BootError, BootFiles, BootLocalDisk, BootTarget, ImageError, ShellHost
from kadeploy_deployer.steps.boot_files import disk_target, network_target, upload_boot_files
from kadeploy_deployer.steps.deployment_shell import working_host
from kadeploy_deployer.steps.partition import writes_table
from kadeploy_deployer.steps.partition_table import partition_device
from kadeploy_deployer.steps.step import StepContext

WHO_SECONDS = 20.0


async def leave_bootable(context: StepContext, node: str) -> None:
    """Lets a node boot its default and resets it if it runs nothing of use.

    Raises:
        NodeFailed: its entry could not be written; one sentence says what that means.
        ShellError, PowerError: it could not be reset.
    """
    target = await default_target(context, node)
    if target is not None:
        entry, machine = {node: target}, {node: context.nodes[node]}
        try:
            problems = await context.ports.boot.set_entries(entry, machine, owner=context.deployment_id)
        except BootError as error:
            raise NodeFailed(f"the node may boot over the network once more: {error}") from error
        if problems:
            raise NodeFailed(problems[node])
    await _free(context, node)


async def default_target(context: StepContext, node: str) -> BootTarget | None:
    """Returns what a node without a system boots; None: its entry was not touched, and stays."""
    machine, profile = context.nodes[node], context.profile(node)
    if context.spec.use_production_system and not context.facts[node].host_keys:
        # It runs what it ran before.
        return None
    default = profile.default_system
    if default is None or _overwritten(context, node, default):
        return BootLocalDisk()
    environment = default.environment
    method = boot_choice.chosen(None, environment, default=profile.boot_method)
    root = f"root={partition_device(default.device, default.partition)}"
    arguments = " ".join(filter(None, (root, environment.kernel_arguments or profile.kernel_arguments)))
    if not boot_choice.needs_files(method, environment):
        there = replace(machine, device=default.device, partition=default.partition)
        return disk_target(there, environment, method, arguments)
    files = await _default_files(context, node, default)
    return BootLocalDisk() if files is None else network_target(files, environment, arguments)


def _overwritten(context: StepContext, node: str, default: DefaultSystemSnapshot) -> bool:
    machine = context.nodes[node]
    if default.device != machine.device:
        return False
    return default.partition == machine.partition or context.spec.whole_disk or writes_table(context, node)


async def _default_files(context: StepContext, node: str, default: DefaultSystemSnapshot) -> BootFiles | None:
    environment = default.environment
    try:
        files = await context.ports.images.boot_files(environment, user=context.owner)
        await upload_boot_files(context.ports.boot, files, environment)
    except (BootError, ImageError) as problem:
        await context.recorder.remark(node, f"boots from its disk and not its default environment: {problem}")
        return None
    return files


async def _free(context: StepContext, node: str) -> None:
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
        await context.window(node).turn()
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
    if machine.can("hard_reboot") and await context.ports.power.is_on(machine) is not False:
        await context.window(node).turn()
        await context.ports.power.reboot(machine, RebootLevel.HARD)
