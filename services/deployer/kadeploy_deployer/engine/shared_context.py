"""What the nodes of a deployment or operation share: one read of each file, few calls for many entries, a broadcast."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from kadeploy_deployer.domain.deployment import Deployment
from kadeploy_deployer.domain.located_nodes import LocatedNodes
from kadeploy_deployer.domain.operation import Operation
from kadeploy_deployer.engine.batching_boot import BatchingBoot
from kadeploy_deployer.engine.image_session import ImageSession
from kadeploy_deployer.engine.journal import DeploymentJournal
from kadeploy_deployer.engine.node_walk import LeaveBootable, Walks
from kadeploy_deployer.engine.operation_rights import OperationRights
from kadeploy_deployer.engine.rights import RightsGuard
from kadeploy_deployer.engine.shared_images import SharedImages, make_readers
from kadeploy_deployer.engine.step_run import plain
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.nodes.reboot_window import RebootWindows
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.node_knowledge import NodeKnowledge
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.ports.store_values import RunData
from kadeploy_deployer.steps.operation_plans import OPERATION_PLANS
from kadeploy_deployer.steps.operation_step import CommandChannel, OperationContext
from kadeploy_deployer.steps.step import Step, StepContext

NODES_AT_ONCE = 100
"""So many nodes of an operation are switched, or run a command, at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """What is the same for all deployments and operations.

    Attributes:
        plan: the steps of a deployment.
        ports: the world.
        windows: shared by all that reboots nodes in this process.
        leave_bootable: what is done to a node that failed in a deployment.
        deployment_host_keys: public keys of the deployment environment's sshd.
        cluster_public_key: the deployer's own key.
        readers: read the archives of all deployments.
        channels: by operation, the commands whose callers are in this process.
    """

    plan: Sequence[Step]
    ports: StepPorts
    windows: RebootWindows
    leave_bootable: LeaveBootable
    deployment_host_keys: tuple[str, ...]
    cluster_public_key: str
    readers: FileThreads = field(default_factory=make_readers)
    channels: dict[str, CommandChannel] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walking:
    """What a deployer has of what it drives: what the database says, the way back into it, and who is asked."""

    data: RunData
    settings: RunnerSettings
    journal: DeploymentJournal
    guard: RightsGuard
    store: DeploymentStore


@asynccontextmanager
async def open_walks(walking: Walking) -> AsyncIterator[Walks[Any]]:
    """Yields what the nodes of a deployment or operation share on their way."""
    operation = walking.data.operation
    if isinstance(operation, Operation):
        async with _operation_walks(operation, walking) as walks:
            yield walks
    else:
        async with _deployment_walks(operation, walking) as walks:
            yield walks


@asynccontextmanager
async def _deployment_walks(deployment: Deployment, walking: Walking) -> AsyncIterator[Walks[StepContext]]:
    data, settings, journal = walking.data, walking.settings, walking.journal
    images = SharedImages(settings.ports.images, readers=settings.readers)
    image = ImageSession(
        broadcast=settings.ports.broadcast,
        images=images,
        image=deployment.environment.image,
        user=deployment.owner,
    )
    context = StepContext(
        deployment_id=deployment.id,
        owner=deployment.owner,
        spec=deployment.spec,
        environment=deployment.environment,
        nodes=LocatedNodes(data.snapshots, journal.facts),
        profiles=data.profiles,
        facts=journal.facts,
        ports=replace(settings.ports, images=images, boot=BatchingBoot(settings.ports.boot)),
        recorder=journal,
        windows=settings.windows,
        image=image,
        archives=images,
        deployment_host_keys=settings.deployment_host_keys,
        cluster_public_key=settings.cluster_public_key,
    )
    try:
        yield Walks(
            guard=walking.guard,
            context=context,
            plan=settings.plan,
            journal=journal,
            leave_bootable=settings.leave_bootable,
        )
    finally:
        await image.close()
        await images.close()


@asynccontextmanager
async def _operation_walks(operation: Operation, walking: Walking) -> AsyncIterator[Walks[OperationContext]]:
    data, settings, journal = walking.data, walking.settings, walking.journal
    known = await walking.store.knowledge(journal.active) if journal.active else {}
    images = SharedImages(settings.ports.images, readers=settings.readers)
    rights = OperationRights(walking.guard)
    context = OperationContext(
        deployment_id=operation.id,
        owner=operation.owner,
        spec=operation.spec,
        nodes=data.snapshots,
        profiles=data.profiles,
        facts=journal.facts,
        known={node: known.get(node, NodeKnowledge()) for node in data.snapshots},
        ports=replace(settings.ports, images=images, boot=BatchingBoot(settings.ports.boot)),
        recorder=journal,
        windows=settings.windows,
        at_once=asyncio.Semaphore(NODES_AT_ONCE),
        rights=rights,
        command=settings.channels.get(operation.id),
        deployment_host_keys=settings.deployment_host_keys,
    )
    try:
        yield Walks(
            guard=rights,
            context=context,
            plan=OPERATION_PLANS[operation.spec.kind],
            journal=journal,
            leave_bootable=_leave_as_it_is,
            describe=plain,
        )
    finally:
        await images.close()


async def _leave_as_it_is(_context: OperationContext, _node: str) -> None:
    """A node that an operation failed on is its user's, who stands before it."""
