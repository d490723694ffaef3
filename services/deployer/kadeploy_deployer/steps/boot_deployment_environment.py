"""Step: reboots the nodes into the deployment environment.

A node is there when something that proves the deployment environment's host key was booted with the token of this very
deployment. The ladder goes from a soft reboot to harder ones.
"""

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.states import FailureReason, PartitionState, RebootLevel
from kadeploy_deployer.nodes.ladder import all_rungs, climb_ladder, reboot_over_ssh
from kadeploy_deployer.nodes.probe import NODE_ARGUMENT, TOKEN_ARGUMENT, Running
from kadeploy_deployer.nodes.proof import Awaited, look_for
from kadeploy_deployer.ports import BootDeploymentKernel, BootError, BootTarget, PowerError, ShellHost
from kadeploy_deployer.steps.boot_evidence import boot_evidence
from kadeploy_deployer.steps.feasibility import impossible
from kadeploy_deployer.steps.needed_files import check_files
from kadeploy_deployer.steps.production_system import needed_programs, take_over
from kadeploy_deployer.steps.step import Step, StepContext, WritesBootFiles

THERE_ALREADY_SECONDS = 10.0
TOKEN_SHOWN = "<token>"  # noqa: S105 - stands for a token in plans


class BootDeploymentEnvironment(Step, WritesBootFiles):
    """See the module. A node that is there already is left alone, so the step may run again.

    Each rung of the ladder has its own bound; the step's timeout only ends what none of them foresaw.
    """

    name = "boot_deployment_environment"
    partition_state = PartitionState.TO_DEPLOY
    timeout = 3600.0
    failure_reason = FailureReason.NOT_THERE_ON_FIRST_CHECK
    retries = 0

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return True

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
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

    @override
    async def boot_target(self, context: StepContext, node: str) -> BootTarget | None:
        return None if impossible(context) or context.spec.use_production_system else deployment_target(context, node)

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        problem = impossible(context)
        if problem:
            raise StepFailed(FailureReason.BOOT_FILES_FAILED, problem, retriable=False)
        await check_files(context, node)
        if context.spec.use_production_system:
            running = await take_over(context, node, timeout=first_check_timeout(context, node))
            return _arrived(context, node, running)
        entry, machine = {node: deployment_target(context, node)}, {node: context.nodes[node]}
        try:
            problems = await context.ports.boot.set_entries(entry, machine, owner=context.deployment_id)
        except BootError as error:
            raise StepFailed(FailureReason.BOOT_FILES_FAILED, str(error)) from error
        if problems:
            raise StepFailed(FailureReason.BOOT_FILES_FAILED, problems[node])
        return await _boot(context, node)


def deployment_target(context: StepContext, node: str) -> BootTarget:
    """Returns what a node boots next: the deployment kernel with this deployment's token."""
    return BootDeploymentKernel(
        label=context.profile(node).deployment_kernel_label,
        arguments=_arguments(context, node, context.facts[node].deployment_token),
    )


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


async def _boot(context: StepContext, node: str) -> NodeFacts:
    try:
        powered = await context.ports.power.is_on(context.nodes[node])
    except PowerError as problem:
        await context.recorder.remark(node, f"its power status is unknown: {problem}")
        powered = None
    awaited = _awaited(context, node)
    if powered is not False:
        observation = await look_for(context, node, awaited, timeout=THERE_ALREADY_SECONDS)
        if observation.arrived is not None:
            return _arrived(context, node, observation.arrived)
        if observation.instead is not None:
            awaited = replace(awaited, left=observation.instead.boot_id)
    # Whatever of ours may run there: an earlier deployment environment, or the system deployed before.
    anybody = ShellHost(
        name=node,
        address=context.nodes[node].ip_address,
        host_keys=(*context.deployment_host_keys, *context.facts[node].previous_host_keys),
    )
    async with context.ports.boot_watch.watch(context.nodes[node]) as observer:
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
            window=context.window(node),
            look_once=lambda timeout: look_for(context, node, awaited, timeout=timeout),
            patience=first_check_timeout(context, node),
        )
        if result.observation.arrived is not None:
            return _arrived(context, node, result.observation.arrived)
        evidence = await boot_evidence(
            context, node, observer, result.observation, step=BOOT_DEPLOYMENT_ENVIRONMENT.name
        )
    raise StepFailed(FailureReason.NOT_THERE_ON_FIRST_CHECK, evidence + result.summary())


def _awaited(context: StepContext, node: str) -> Awaited:
    facts = context.facts[node]
    return Awaited(
        host_keys=tuple(context.deployment_host_keys),
        other_keys=facts.previous_host_keys,
        token=facts.deployment_token,
    )


def _arrived(context: StepContext, node: str, running: Running) -> NodeFacts:
    return replace(context.facts[node], deployment_boot_id=running.boot_id)


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
    machine = context.nodes[node]
    if machine.power_driver is not None:
        return f"{level.value} reboot by {machine.power_driver.kind}{waiting}"
    if level is RebootLevel.VERY_HARD and commands.power_off and commands.power_on:
        return f"power off and on{waiting}"
    return f"nothing, because the site has no command for a {level.value} reboot"


BOOT_DEPLOYMENT_ENVIRONMENT = BootDeploymentEnvironment()
