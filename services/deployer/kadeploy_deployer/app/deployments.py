"""The use cases around deployments: create, cancel, outputs."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence

from kadeploy_deployer.app.ports import Clock, Inventory
from kadeploy_deployer.app.request import Actor, Prepared, check_request_id, owner_of, prepare
from kadeploy_deployer.app.store import DeploymentStore, NewDeployment, NewNode, StoredOutput
from kadeploy_deployer.app.supervisor import Supervisor
from kadeploy_deployer.domain.deployment import Deployment
from kadeploy_deployer.domain.errors import AnotherDeploymentWaiting, NodeNotInDeployment, NotOwner
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import DeploymentSpec

PLACE_POLL = 0.3
"""How often somebody who queues looks whether the place of the waiting deployment is free."""


def new_id(now: float) -> str:
    """Returns an id for a deployment: the day, so that people can place it, and chance."""
    return f"{time.strftime('%Y%m%d', time.gmtime(now))}-{secrets.token_hex(5)}"


def new_token() -> str:
    """Returns a token for a kernel command line that nobody can guess."""
    return secrets.token_hex(16)


async def create_deployment(
    spec: DeploymentSpec,
    *,
    request_id: str,
    actor: Actor,
    inventory: Inventory,
    store: DeploymentStore,
    supervisor: Supervisor,
    clock: Clock,
    make_id: Callable[[float], str] = new_id,
    make_token: Callable[[], str] = new_token,
) -> Deployment:
    """Creates a deployment and lets it run; the same request again returns the same deployment.

    Raises:
        InvalidNodeSet, InvalidDeployment, NotAdministrator, RightMissing: see `request.prepare`.
        AnotherDeploymentWaiting, NodesBusy, NoNodeLeft: it cannot be carried out now.
    """
    check_request_id(request_id)
    if request_id:
        earlier = await store.find_request(owner_of(spec, actor), request_id)
        if earlier is not None:
            return await store.get(earlier)
    prepared = await prepare(spec, actor=actor, inventory=inventory)
    began = clock.now()

    async def store_and_start() -> str:
        # In one piece, even if the caller hangs up: what is stored is driven.
        now = clock.now()
        new = NewDeployment(
            id=make_id(now),
            owner=prepared.owner,
            request_id=request_id,
            spec=spec,
            environment=prepared.resolution.environment,
            profiles=prepared.resolution.profiles,
            nodes=_new_nodes(prepared, make_token),
            driver=supervisor.driver,
            lease_expires_at=now + supervisor.lease_seconds,
            wait_until=began + spec.wait_timeout,
            now=now,
        )
        created = await store.create(new)
        if created.lease is not None:
            supervisor.start(created.lease)
        return created.deployment_id

    while True:
        try:
            return await store.get(await asyncio.shield(asyncio.ensure_future(store_and_start())))
        except AnotherDeploymentWaiting:
            if clock.now() >= began + spec.wait_timeout:
                raise
            await clock.sleep(PLACE_POLL)


def _new_nodes(prepared: Prepared, make_token: Callable[[], str]) -> tuple[NewNode, ...]:
    return tuple(
        NewNode(
            name=node.name,
            snapshot=node.snapshot,
            left_out=prepared.left_out.get(node.name),
            facts=NodeFacts(deployment_token=make_token(), system_token=make_token()),
        )
        for node in prepared.resolution.nodes
    )


async def cancel_deployment(
    deployment_id: str, *, reason: str, actor: Actor, store: DeploymentStore, supervisor: Supervisor, clock: Clock
) -> Deployment:
    """Asks for the end of a deployment and returns it as it is now.

    Raises:
        DeploymentNotFound: there is none.
        NotOwner: it belongs to somebody else.
        DeploymentFinished: it has ended.
    """
    await _own(deployment_id, actor, store)
    text = f"cancelled by {actor.user}" + (f": {reason}" if reason else "")
    await store.request_cancel(deployment_id, reason=text, now=clock.now())
    supervisor.cancel(deployment_id)
    return await store.get(deployment_id)


async def step_outputs(
    deployment_id: str, node: str, step: str, *, actor: Actor, store: DeploymentStore
) -> Sequence[StoredOutput]:
    """Returns what steps printed on a node. Raises DeploymentNotFound, NotOwner, NodeNotInDeployment."""
    deployment = await _own(deployment_id, actor, store)
    if all(one.node != node for one in deployment.nodes):
        raise NodeNotInDeployment(node, deployment_id)
    return await store.outputs(deployment_id, node, step)


async def _own(deployment_id: str, actor: Actor, store: DeploymentStore) -> Deployment:
    """Returns a deployment of the actor's, or of anybody's for an administrator."""
    deployment = await store.get(deployment_id)
    if deployment.owner != actor.user and not actor.is_administrator:
        raise NotOwner(deployment_id, deployment.owner)
    return deployment
