"""What a deployment would do, node by node. Touches nothing: no lock, no node, no boot file."""

from collections.abc import Sequence
from dataclasses import dataclass

from kadeploy_deployer.app.ports import Inventory
from kadeploy_deployer.app.request import Actor, Prepared, prepare
from kadeploy_deployer.app.runner import RunnerSettings, policy
from kadeploy_deployer.app.silence import Silence
from kadeploy_deployer.app.store import DeploymentStore
from kadeploy_deployer.domain.errors import NodesBusy
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.holder import in_words
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot, StepPolicy
from kadeploy_deployer.domain.states import BusyPolicy, FailureReason
from kadeploy_deployer.steps.step import StepContext

PLANNED = "planned"
"""Stands where the id and the tokens of a real deployment would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step as it would be done to a node."""

    step: str
    policy: StepPolicy
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """What would be done to a node. `obstacle`: why it would be left out."""

    node: str
    obstacle: Failure | None
    held_by: str
    steps: tuple[PlannedStep, ...]


async def plan_deployment(
    spec: DeploymentSpec, *, actor: Actor, inventory: Inventory, store: DeploymentStore, settings: RunnerSettings
) -> tuple[EnvironmentSnapshot, Sequence[NodePlan]]:
    """Returns the environment, and what would be done to each node. Errors as for create_deployment."""
    prepared = await prepare(spec, actor=actor, inventory=inventory)
    held = await store.holders(list(prepared.included))
    if held and spec.busy_policy is BusyPolicy.FAIL:
        raise NodesBusy(held)
    context = _context(spec, prepared, settings)
    plans = []
    for node in prepared.resolution.nodes:
        failure = prepared.left_out.get(node.name)
        holder = held.get(node.name, "")
        if failure is None and holder and spec.busy_policy is BusyPolicy.EXCLUDE:
            failure = Failure(reason=FailureReason.BUSY, description=f"held by {in_words(holder)}")
        steps = () if failure else _steps(context, node.name, settings)
        plans.append(NodePlan(node=node.name, obstacle=failure, held_by=holder, steps=steps))
    return prepared.resolution.environment, plans


def _context(spec: DeploymentSpec, prepared: Prepared, settings: RunnerSettings) -> StepContext:
    included = prepared.included
    return StepContext(
        deployment_id=PLANNED,
        spec=spec,
        environment=prepared.resolution.environment,
        nodes=included,
        profiles=prepared.resolution.profiles,
        facts={node: NodeFacts(deployment_token=PLANNED, system_token=PLANNED) for node in included},
        ports=settings.ports,
        recorder=Silence(),
        deployment_host_keys=settings.deployment_host_keys,
        cluster_public_key=settings.cluster_public_key,
    )


def _steps(context: StepContext, node: str, settings: RunnerSettings) -> tuple[PlannedStep, ...]:
    return tuple(
        PlannedStep(step=step.name, policy=policy(step, context, node), actions=tuple(step.describe(context, node)))
        for step in settings.plan
        if step.applies(context)
    )
