"""Step: reboots the nodes into the new system and proves that it runs.

Proved is: the host key that the image was given, a boot id that is not the deployment environment's, the token of the
boot entry on the kernel's command line, the root file system on the target partition, and the marker file in it.
"""

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.states import BootMethod, FailureReason, PartitionState, RebootLevel
from kadeploy_deployer.nodes.host_key import public_keys
from kadeploy_deployer.nodes.ladder import Observation, Rung, climb_ladder, power_rungs, reboot_over_ssh, try_look
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.nodes.probe import Running
from kadeploy_deployer.nodes.proof import WHO_SECONDS, Awaited, look_for, look_for_stranger
from kadeploy_deployer.ports import ShellError, ShellHost
from kadeploy_deployer.steps import kexec
from kadeploy_deployer.steps.boot_evidence import boot_evidence
from kadeploy_deployer.steps.boot_files import TOKEN_SHOWN, system_arguments
from kadeploy_deployer.steps.deployment_shell import working_host
from kadeploy_deployer.steps.feasibility import chainloads
from kadeploy_deployer.steps.keys import PUBLIC_KEYS
from kadeploy_deployer.steps.mounts import DESTINATION, let_go
from kadeploy_deployer.steps.step import Step, StepContext


class BootNewSystem(Step):
    """See the module. A node that runs the new system already is done, so the step may run again.

    Each rung of the ladder has its own bound; the step's timeout only ends what none of them foresaw.
    """

    name = "boot_new_system"
    partition_state = PartitionState.REBOOTING
    timeout = 3600.0
    failure_reason = FailureReason.NOT_THERE_ON_LAST_CHECK
    retries = 0

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return True

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        machine = context.nodes[node]
        harder = [level.value for level in _harder(context, node)]
        then = f"; if it is not there then, {' and '.join(harder)} reboot" if harder else ""
        leave = f"unmount {DESTINATION} and reboot"
        if context.spec.boot_method is BootMethod.KEXEC:
            arguments = system_arguments(context, node, token=TOKEN_SHOWN)
            leave = f"unmount {DESTINATION} and start {context.environment.kernel_path} by kexec with {arguments}"
        waiting = f"wait up to {last_check_timeout(context, node):g} s for the new system{then}"
        if boot_choice.is_opaque(context.environment):
            return [leave, waiting, "check that an ssh server answers that is none of ours; nothing else can be proved"]
        return [
            leave,
            waiting,
            f"check its boot id, its token and that it runs from {machine.partition_device(machine.partition)}",
        ]

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        return await _boot(context, node)


def last_check_timeout(context: StepContext, node: str) -> float:
    """Returns how long a node may take after each reboot: the request's word, else its cluster's."""
    wanted = context.spec.last_check_timeout
    return context.profile(node).last_check_timeout if wanted is None else wanted


def _harder(context: StepContext, node: str) -> list[RebootLevel]:
    return [level for level in context.profile(node).reboot_ladder if level is not RebootLevel.SOFT]


async def _boot(context: StepContext, node: str) -> NodeFacts:
    opaque = boot_choice.is_opaque(context.environment)
    if not opaque and not context.facts[node].host_keys:
        raise NodeFailed(f"no host key of the new system of {node} is known, so nothing could prove it")

    async def leave() -> None:
        await _leave_deployment_environment(context, node)

    awaited = _awaited(context, node)
    first = "kexec" if context.spec.boot_method is BootMethod.KEXEC else "reboot"
    async with context.ports.boot_watch.watch(context.nodes[node]) as observer:
        result = await climb_ladder(
            context,
            node,
            [Rung(name=first, act=leave), *power_rungs(context, node, _harder(context, node))],
            window=context.window(node),
            look_once=lambda timeout: (
                look_for_stranger(context, node, awaited, timeout=timeout)
                if opaque
                else look_for(context, node, awaited, timeout=timeout)
            ),
            patience=last_check_timeout(context, node),
        )
        evidence = ""
        if result.observation.arrived is None:
            evidence = await boot_evidence(context, node, observer, result.observation, step=BOOT_NEW_SYSTEM.name)
    if result.observation.arrived is not None:
        if opaque:
            await context.recorder.remark(
                node, "an ssh server answers that nothing here knows: its system is not proved"
            )
        arrived = _arrived(context, node, result.observation.arrived)
        if result.observation.host_key:
            keys = await _new_host_keys(context, node, result.observation.host_key)
            await context.recorder.remark(
                node, "has other host keys than its image; they are recorded, for it proved itself"
            )
            return replace(arrived, host_keys=keys)
        return arrived
    wrong = result.observation.wrong
    reason = FailureReason.WRONG_SYSTEM_BOOTED if wrong else FailureReason.NOT_THERE_ON_LAST_CHECK
    raise StepFailed(reason, evidence + result.summary())


async def _new_host_keys(context: StepContext, node: str, proved: str) -> tuple[str, ...]:
    """Returns the host keys of a system that proved itself by its marker: the one that it showed, and its others."""
    host = ShellHost(name=node, address=context.nodes[node].ip_address, host_keys=(proved,))
    arguments = ("sh", "-c", PUBLIC_KEYS, "host-keys", "/etc/ssh")
    try:
        result = await context.ports.shell.run(host, arguments, timeout=WHO_SECONDS)
    except ShellError:
        return (proved,)
    return tuple(dict.fromkeys((proved, *public_keys(result.stdout))))


async def _leave_deployment_environment(context: StepContext, node: str) -> None:
    """Unmounts and reboots, if the node is still in the deployment environment.

    A node that has left it (the step was begun before) is left alone: it may be on its way.
    """
    host = working_host(context, node)
    running = await try_look(context, host, timeout=WHO_SECONDS * 3)
    if isinstance(running, Observation):
        await context.recorder.remark(node, f"has left the deployment environment already: {running.seen}")
        return
    loaded = context.spec.boot_method is BootMethod.KEXEC and await _loaded(context, node)
    machine = context.nodes[node]
    # The system that a node was deployed from stays on its own partitions until the end.
    stays = context.spec.use_production_system
    disk = machine.target_device if stays else machine.disk_device
    try:
        await let_go(context, node, [disk])
    except (NodeFailed, ShellError) as problem:
        # The data is on the disk since the step before; what stays mounted is put right by the file system's journal.
        await context.recorder.remark(node, f"reboots with the target mounted: {problem}")
    if loaded:
        await kexec.start(context, node)
    else:
        await reboot_over_ssh(context.ports.shell, host, at_once=not context.spec.use_production_system)


async def _loaded(context: StepContext, node: str) -> bool:
    """Loads the new kernel for kexec. Without it the node reboots, and boots the same over the network."""
    try:
        await kexec.load(context, node)
    except (NodeFailed, ShellError) as problem:
        await context.recorder.remark(node, f"reboots instead of a kexec: {problem}")
        return False
    return True


def _arrived(context: StepContext, node: str, running: Running) -> NodeFacts:
    machine = context.nodes[node]
    return replace(
        context.facts[node],
        boot_id=running.boot_id,
        root_device=running.partition or machine.target_device,
        kernel_command_line=running.command_line,
    )


def _awaited(context: StepContext, node: str) -> Awaited:
    facts = context.facts[node]
    return Awaited(
        host_keys=facts.host_keys,
        secret=facts.marker_secret,
        other_keys=(*context.deployment_host_keys, *facts.previous_host_keys),
        left=facts.deployment_boot_id,
        # A loader on the disk passes on no token; the marker has it.
        token="" if chainloads(context) else facts.system_token,
        marker={"deployment": context.deployment_id, "token": facts.system_token},
    )


BOOT_NEW_SYSTEM = BootNewSystem()
