"""Step: reboots the nodes into the deployment environment.

A node is there when something that proves the deployment environment's host key was booted with the token of this very
deployment. The ladder goes from a soft reboot to harder ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.states import FailureReason, PartitionState, RebootLevel
from kadeploy_deployer.nodes.each_node import all_failed, on_each_node
from kadeploy_deployer.nodes.ladder import all_rungs, climb_ladder, reboot_over_ssh
from kadeploy_deployer.nodes.probe import NODE_ARGUMENT, TOKEN_ARGUMENT, Running
from kadeploy_deployer.nodes.proof import Awaited, look_for
from kadeploy_deployer.nodes.reboot_window import RebootWindow
from kadeploy_deployer.ports import BootDeploymentKernel, BootError, BootTarget, PowerError, ShellHost
from kadeploy_deployer.steps.feasibility import impossible
from kadeploy_deployer.steps.production_system import needed_programs, take_over
from kadeploy_deployer.steps.step import StepContext

THERE_ALREADY_SECONDS = 10.0
TOKEN_SHOWN = "<token>"  # noqa: S105 - stands for a token in plans


class BootDeploymentEnvironment:
    """See the module. A node that is there already is left in peace, so the step may run again.

    Each rung of the ladder has its own bound; the step's timeout only ends what none of them foresaw.
    """

    name = "boot_deployment_environment"
    partition_state = PartitionState.TO_DEPLOY
    timeout = 3600.0
    timeout_reason = FailureReason.NOT_THERE_ON_FIRST_CHECK
    retries = 0

    def applies(self, context: StepContext) -> bool:
        """As in the protocol."""
        return True

    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        """As in the protocol."""
        problem = impossible(context)
        if problem:
            return [f"nothing, and fail: {problem}"]
        if context.spec.use_production_system:
            return [
                "stay in the system that it runs, if we deployed it and it does not run from the target",
                f"check that it has {', '.join(needed_programs(context, node))}",
            ]
        profile = context.profile(node)
        arguments = _arguments(context, node, TOKEN_SHOWN)
        ladder = [
            f"{'if it is not there then: ' if number else ''}{_rung_in_words(context, node, level)}"
            for number, level in enumerate(profile.reboot_ladder)
        ]
        entry = f"let it boot the deployment kernel '{profile.deployment_kernel_label}' with {arguments}"
        return [entry, "switch it on if it is off", *ladder]

    async def boot_targets(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, BootTarget]:
        """As in the protocol."""
        return {} if impossible(context) or context.spec.use_production_system else deployment_targets(context, nodes)

    async def _stay(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
        async def one(node: str) -> Outcome:
            timeout = first_check_timeout(context, node)
            return await _arrived(context, node, await take_over(context, node, timeout=timeout))

        return await on_each_node(
            nodes, one, reason=self.timeout_reason, timeout=context.timeout, ended=context.recorder.ended
        )

    async def run(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
        """As in the protocol."""
        problem = impossible(context)
        if problem:
            return all_failed(nodes, FailureReason.BOOT_FILES_FAILED, problem, retriable=False)
        if context.spec.use_production_system:
            return await self._stay(context, nodes)
        machines = {node: context.nodes[node] for node in nodes}
        try:
            problems = await context.ports.boot.set_entries(
                deployment_targets(context, nodes), machines, owner=context.deployment_id
            )
        except BootError as error:
            return all_failed(nodes, FailureReason.BOOT_FILES_FAILED, str(error))
        windows = {cluster: _window(context, cluster) for cluster in {machine.cluster for machine in machines.values()}}

        async def one(node: str) -> Outcome:
            if node in problems:
                return Failure(reason=FailureReason.BOOT_FILES_FAILED, description=problems[node])
            return await _boot(context, node, windows[context.nodes[node].cluster])

        # All at once: most of the time is waiting, and the window bounds the reboots.
        return await on_each_node(
            nodes,
            one,
            reason=self.timeout_reason,
            timeout=context.timeout,
            at_once=max(len(nodes), 1),
            ended=context.recorder.ended,
        )


def deployment_targets(context: StepContext, nodes: Sequence[str]) -> dict[str, BootTarget]:
    """Returns what the nodes boot next: the deployment kernel with this deployment's token."""
    return {
        node: BootDeploymentKernel(
            label=context.profile(node).deployment_kernel_label,
            arguments=_arguments(context, node, context.facts[node].deployment_token),
        )
        for node in nodes
    }


def first_check_timeout(context: StepContext, node: str) -> float:
    """Returns how long a node may take after each reboot: the request's word, else its cluster's."""
    wanted = context.spec.first_check_timeout
    return context.profile(node).first_check_timeout if wanted is None else wanted


def _arguments(context: StepContext, node: str, token: str) -> str:
    words = (
        context.profile(node).deployment_kernel_arguments,
        f"{TOKEN_ARGUMENT}={token}",
        f"{NODE_ARGUMENT}={node}",
    )
    return " ".join(word for word in words if word)


def _window(context: StepContext, cluster: str) -> RebootWindow:
    profile = context.profiles[cluster]
    return RebootWindow(size=profile.reboot_window_size, pause=profile.reboot_window_pause, clock=context.ports.clock)


async def _boot(context: StepContext, node: str, window: RebootWindow) -> Outcome:
    try:
        powered = await context.ports.power.is_on(context.nodes[node])
    except PowerError as problem:
        await context.recorder.remark(node, f"its power status is unknown: {problem}")
        powered = None
    awaited = _awaited(context, node)
    if powered is not False:
        observation = await look_for(context, node, awaited, timeout=THERE_ALREADY_SECONDS)
        if observation.arrived is not None:
            return await _arrived(context, node, observation.arrived)
        if observation.instead is not None:
            awaited = replace(awaited, left=observation.instead.boot_id)
    # Whatever of ours may run there: an earlier deployment environment, or the system deployed before.
    anybody = ShellHost(
        name=node,
        address=context.nodes[node].ip_address,
        host_keys=(*context.deployment_host_keys, *context.facts[node].previous_host_keys),
    )
    result = await climb_ladder(
        context,
        node,
        all_rungs(
            context,
            node,
            context.profile(node).reboot_ladder,
            soft=lambda: reboot_over_ssh(context.ports.shell, anybody, at_once=False),
            off=powered is False,
        ),
        window=window,
        look_once=lambda timeout: look_for(context, node, awaited, timeout=timeout),
        patience=first_check_timeout(context, node),
    )
    if result.observation.arrived is not None:
        return await _arrived(context, node, result.observation.arrived)
    return Failure(
        reason=FailureReason.NOT_THERE_ON_FIRST_CHECK,
        description=result.story(),
    )


def _awaited(context: StepContext, node: str) -> Awaited:
    facts = context.facts[node]
    return Awaited(
        host_keys=tuple(context.deployment_host_keys),
        other_keys=facts.previous_host_keys,
        token=facts.deployment_token,
    )


async def _arrived(context: StepContext, node: str, running: Running) -> Outcome:
    facts = context.facts[node]
    facts.deployment_boot_id = running.boot_id
    await context.recorder.facts(node, facts)
    return None


def _rung_in_words(context: StepContext, node: str, level: RebootLevel) -> str:
    waiting = f", and wait up to {first_check_timeout(context, node):g} s"
    commands = context.nodes[node].commands
    template = {
        RebootLevel.SOFT: commands.soft_reboot,
        RebootLevel.HARD: commands.hard_reboot,
        RebootLevel.VERY_HARD: commands.very_hard_reboot,
    }[level]
    if template:
        return f"{level.value} reboot by {' '.join(template)}{waiting}"
    if level is RebootLevel.SOFT:
        return f"soft reboot by logging in{waiting}"
    if level is RebootLevel.VERY_HARD and commands.power_off and commands.power_on:
        return f"power off and on{waiting}"
    return f"nothing, because the site has no command for a {level.value} reboot"


BOOT_DEPLOYMENT_ENVIRONMENT = BootDeploymentEnvironment()
