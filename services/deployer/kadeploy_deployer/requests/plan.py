"""What a deployment would do, node by node. Changes nothing: no lock, no node, no boot file."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kadeploy_deployer.domain.errors import NodesBusy
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.holder import in_words
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot, StepPolicy
from kadeploy_deployer.domain.states import BusyPolicy, FailureReason
from kadeploy_deployer.engine.shared_context import RunnerSettings
from kadeploy_deployer.engine.shared_images import SharedImages
from kadeploy_deployer.engine.step_run import policy
from kadeploy_deployer.ports import BootError, ImageError, ImageStore, Inventory
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.requests.deployment_request import LONGEST_WAIT, Actor, Prepared, prepare
from kadeploy_deployer.requests.file_check import check_files
from kadeploy_deployer.requests.image_addresses import check_addresses
from kadeploy_deployer.steps.no_files import NoFiles
from kadeploy_deployer.steps.null_recorder import NullRecorder
from kadeploy_deployer.steps.step import Step, StepContext, WritesBootFiles

PLANNED = "planned"
"""Stands where the id and the tokens of a real deployment would."""


BOOT_FILES_SECONDS = 20.0
"""For the boot files of one step: the image may have to be fetched, and its kernel taken out of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A boot file as it would be written."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step as it would be done to a node."""

    step: str
    policy: StepPolicy
    actions: tuple[str, ...]
    files: tuple[PlannedFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """What would be done to a node. `obstacle`: why it would be left out."""

    node: str
    obstacle: Failure | None
    held_by: str
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPlan:
    """What a request would come to. `spec`: with everything that was decided for it."""

    spec: DeploymentSpec
    environment: EnvironmentSnapshot
    nodes: Sequence[NodePlan]


@dataclass(frozen=True, slots=True, kw_only=True)
class _BootFiles:
    """What a step would write for the nodes, and a sentence where that cannot be said."""

    files: Mapping[str, tuple[PlannedFile, ...]]
    problems: tuple[str, ...] = ()


async def plan_deployment(
    spec: DeploymentSpec,
    *,
    actor: Actor,
    inventory: Inventory,
    store: DeploymentStore,
    settings: RunnerSettings,
    longest_wait: float = LONGEST_WAIT,
    described: bytes = b"",
) -> DeploymentPlan:
    """Returns what would be done to each node. Errors as for create_deployment. `described`: as for prepare."""
    prepared = await prepare(spec, actor=actor, inventory=inventory, longest_wait=longest_wait, described=described)
    held = await store.holders(list(prepared.included))
    if held and spec.busy_policy is BusyPolicy.FAIL:
        raise NodesBusy(held)
    check_addresses(prepared, settings.ports.images)
    obstacles = {node.name: _obstacle(node.name, prepared, held) for node in prepared.resolution.nodes}
    images = SharedImages(settings.ports.images)
    nodes = [node for node, obstacle in obstacles.items() if obstacle is None]
    context = _context(prepared, settings, images, nodes)
    files: dict[str, _BootFiles] = {}
    # Without a node that would be deployed there is no right either to have the image opened.
    if nodes:
        await check_files(prepared, settings.ports.images)
        try:
            files = {step.name: await _boot_files(step, context) for step in settings.plan}
        finally:
            await images.close()
    plans = []
    for node, obstacle in obstacles.items():
        planned = () if obstacle else _steps(context, node, settings.plan, files)
        plans.append(NodePlan(node=node, obstacle=obstacle, held_by=held.get(node, ""), steps=planned))
    return DeploymentPlan(spec=prepared.spec, environment=prepared.resolution.environment, nodes=plans)


def _obstacle(node: str, prepared: Prepared, held: Mapping[str, str]) -> Failure | None:
    """Returns why a node would be left out."""
    holder = held.get(node, "")
    if node not in prepared.left_out and holder and prepared.spec.busy_policy is BusyPolicy.EXCLUDE:
        return Failure(reason=FailureReason.BUSY, description=f"held by {in_words(holder)}")
    return prepared.left_out.get(node)


def _context(prepared: Prepared, settings: RunnerSettings, images: ImageStore, nodes: Sequence[str]) -> StepContext:
    included = {node: prepared.included[node] for node in nodes}
    return StepContext(
        deployment_id=PLANNED,
        owner=prepared.owner,
        spec=prepared.spec,
        environment=prepared.resolution.environment,
        nodes=included,
        profiles=prepared.resolution.profiles,
        facts={node: NodeFacts(deployment_token=PLANNED, system_token=PLANNED) for node in included},
        ports=replace(settings.ports, images=images),
        recorder=NullRecorder(),
        windows=settings.windows,
        image=NoFiles(),
        archives=NoFiles(),
        deployment_host_keys=settings.deployment_host_keys,
        cluster_public_key=settings.cluster_public_key,
    )


def _steps(
    context: StepContext, node: str, steps: Sequence[Step], files: Mapping[str, _BootFiles]
) -> tuple[PlannedStep, ...]:
    planned = []
    for step in steps:
        if not step.applies(context, node):
            continue
        boot = files[step.name]
        planned.append(
            PlannedStep(
                step=step.name,
                policy=policy(step, context, node),
                actions=(*step.describe(context, node), *boot.problems),
                files=boot.files.get(node, ()),
            )
        )
    return tuple(planned)


async def _boot_files(step: Step, context: StepContext) -> _BootFiles:
    if not isinstance(step, WritesBootFiles):
        return _BootFiles(files={})
    try:
        async with asyncio.timeout(BOOT_FILES_SECONDS):
            nodes = [node for node in context.nodes if step.applies(context, node)]
            found = {node: await step.boot_target(context, node) for node in nodes}
            targets = {node: target for node, target in found.items() if target is not None}
            rendered = await context.ports.boot.render_entries(targets, context.nodes, owner=PLANNED)
    except (BootError, ImageError) as problem:
        return _BootFiles(files={}, problems=(f"the boot files cannot be shown: {problem}",))
    except TimeoutError:
        text = f"the boot files cannot be shown: they were not ready within {BOOT_FILES_SECONDS:g} s"
        return _BootFiles(files={}, problems=(text,))
    return _BootFiles(
        files={
            node: tuple(PlannedFile(path=path, text=text) for path, text in written)
            for node, written in rendered.items()
        }
    )
