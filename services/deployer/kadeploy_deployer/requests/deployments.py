"""The use cases around deployments: create, cancel, outputs."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence

from kadeploy_deployer.domain.deployment import Deployment
from kadeploy_deployer.domain.errors import NodeNotInDeployment, NotOwner, RightMissing, check_fingerprint
from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.engine.rights import find_missing_rights
from kadeploy_deployer.engine.supervisor import Supervisor
from kadeploy_deployer.ports import Clock, ImageStore, Inventory
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.queue import AdmissionQueue
from kadeploy_deployer.ports.store_values import Created, NewDeployment, NewNode, Queued, StoredOutput
from kadeploy_deployer.requests.deployment_request import LONGEST_WAIT, Actor, owner_of, prepare
from kadeploy_deployer.requests.file_check import check_files
from kadeploy_deployer.requests.image_addresses import check_addresses

TURN_POLL = 0.2
"""How often somebody who queues looks whether their turn has come."""
RENEWAL_SECONDS = 3.0
"""How often somebody who queues renews their place: one that nobody renews is dropped."""


def new_id(now: float) -> str:
    """Returns an id for a deployment: the day, so that people can place it, and chance."""
    return f"{time.strftime('%Y%m%d', time.gmtime(now))}-{secrets.token_hex(5)}"


def new_secret() -> str:
    """Returns what the tokens of a deployment's nodes are made of."""
    return secrets.token_hex(16)


async def create_deployment(
    spec: DeploymentSpec,
    *,
    request_id: str,
    fingerprint: str,
    actor: Actor,
    inventory: Inventory,
    images: ImageStore,
    store: DeploymentStore,
    supervisor: Supervisor,
    clock: Clock,
    longest_wait: float = LONGEST_WAIT,
    described: bytes = b"",
    make_id: Callable[[float], str] = new_id,
    make_secret: Callable[[], str] = new_secret,
) -> Deployment:
    """Creates a deployment and lets it run; the same request again returns the same deployment.

    Args:
        spec: what is wanted.
        request_id: the caller's name for the request; empty: it cannot be made again.
        fingerprint: of all that is wanted, so that another request under the same name is noticed.
        actor: who asks.
        inventory: knows nodes, environments and rights.
        images: brings the environment's files, and says which may be fetched.
        store: where deployments are.
        supervisor: drives them.
        clock: time.
        longest_wait: seconds that a request may want to wait for its turn and its nodes.
        described: an environment for this deployment alone, in the inventory's own form.
        make_id: makes an id.
        make_secret: makes what tokens are made of.

    Raises:
        InvalidNodeSet, InvalidDeployment, NotAdministrator, RightMissing: see `prepare`, `check_addresses`.
        InvalidDeployment: the name was given to another request.
        EnvironmentUnusable: one of its files cannot be used.
        RightMissing: a right ended while the request queued for its turn.
        AnotherDeploymentWaiting, NodesBusy, NoNodeLeft: it cannot be carried out now.
    """
    if request_id:
        earlier = await store.find_request(owner_of(spec, actor), request_id)
        if earlier is not None:
            check_fingerprint(earlier.fingerprint, fingerprint)
            return await store.get(earlier.deployment_id)
    prepared = await prepare(spec, actor=actor, inventory=inventory, longest_wait=longest_wait, described=described)
    check_addresses(prepared, images)
    await check_files(prepared, images)
    nodes = tuple(
        NewNode(name=node.name, snapshot=node.snapshot, left_out=prepared.left_out.get(node.name))
        for node in prepared.resolution.nodes
    )
    deadline = clock.monotonic() + spec.wait_timeout

    async def attempt(ticket: int) -> Created | Queued:
        if ticket and (
            missing := await find_missing_rights(prepared.rights_query, list(prepared.included), inventory=inventory)
        ):
            # It has queued for a while since it was prepared.
            raise RightMissing(prepared.owner, sorted(missing))
        asked_at, now = clock.monotonic(), clock.now()
        new = NewDeployment(
            id=make_id(now),
            owner=prepared.owner,
            request_id=request_id,
            fingerprint=fingerprint,
            needs_right=prepared.needs_right,
            spec=prepared.spec,
            environment=prepared.resolution.environment,
            profiles=prepared.resolution.profiles,
            nodes=nodes,
            secret=make_secret(),
            driver=supervisor.driver,
            lease_seconds=supervisor.lease_seconds,
            wait_seconds=max(deadline - asked_at, 0.0),
            now=now,
            ticket=ticket,
        )
        created = await store.create(new)
        if isinstance(created, Created) and created.lease is not None:
            supervisor.start(created.lease, since=asked_at)
        return created

    created = await _in_turn(attempt, deadline=deadline, store=store, clock=clock)
    made = created.deployment
    return made if isinstance(made, Deployment) else await store.get(created.deployment_id)


async def _in_turn(
    attempt: Callable[[int], Awaitable[Created | Queued]], *, deadline: float, store: AdmissionQueue, clock: Clock
) -> Created:
    """Attempts a creation when its turn has come and returns what it made; at the latest at the end of the wait.

    `deadline`: when that is, by the monotonic clock.
    """
    ticket = 0
    while True:
        # In one piece, even if the caller hangs up: what is stored is driven.
        attempting = asyncio.ensure_future(attempt(ticket))
        try:
            answer = await asyncio.shield(attempting)
            if isinstance(answer, Created):
                return answer
            ticket = answer.ticket
            renewal = min(clock.monotonic() + RENEWAL_SECONDS, deadline)
            while clock.monotonic() < renewal and not await store.is_next(ticket):
                await clock.sleep(TURN_POLL)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(_leave_queue(attempting, ticket, store)))
            raise


async def _leave_queue(attempting: asyncio.Future[Created | Queued], ticket: int, store: AdmissionQueue) -> None:
    """Gives up the place that a request has, and the one that its last attempt takes if that is still under way."""
    [answer] = await asyncio.gather(attempting, return_exceptions=True)
    if isinstance(answer, Created):
        return
    if isinstance(answer, Queued):
        ticket = answer.ticket
    if ticket:
        await store.leave_queue(ticket)


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
