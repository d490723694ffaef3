"""Asking for an operation, and asking again: the same request gets the same operation, whichever deployer it reaches.

An operation is created as a deployment is, and driven by the same engine. Whoever asked for it, now or again, follows
its events. One without a request_id ends when its caller hangs up.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from kadeploy_deployer.domain.control_errors import (
    InvalidControl,
    OperationEnds,
    OperationFinished,
    OperationGoesOn,
    OperationNotFound,
    OperationNotOwned,
)
from kadeploy_deployer.domain.deployment import NodeDeployment
from kadeploy_deployer.domain.errors import DeploymentFinished, GoingAway, InvalidDeployment
from kadeploy_deployer.domain.events import Event, NodeStateChanged
from kadeploy_deployer.domain.holder import is_operation
from kadeploy_deployer.domain.operation import Operation, OperationSpec
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import NodeSnapshot, ProfileSnapshot
from kadeploy_deployer.domain.states import FailureReason, OperationNodeState
from kadeploy_deployer.engine.console_lease import new_operation_id
from kadeploy_deployer.engine.event_log import Snapshot
from kadeploy_deployer.ports.store_values import Created, NewDeployment, NewNode
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import ControlParts
from kadeploy_deployer.requests.node_errors import error_of
from kadeploy_deployer.steps.operation_step import CommandChannel
from kadeploy_edge.errors import DomainError

logger = logging.getLogger(__name__)

STOPPED_BY_CALLER = "stopped by its caller"
HUNG_UP = "its caller hung up"
DEPLOYER_STOPS = "its deployer stops"

Tell = Callable[[str, DomainError | None], None]
"""Takes what became of a node: None when it went well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestName:
    """How a caller names a request. `fingerprint`: of all that is asked for, so that another request is noticed."""

    owner: str
    request_id: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRequest:
    """For whom an operation is done. `name` None: nobody can ask for it again, so it ends with its call."""

    owner: str
    name: RequestName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedOperation:
    """An operation that can be carried out.

    Attributes:
        spec: what was asked for.
        nodes: every node that can take part, in order; its target is what it is to boot, where that is said.
        refused: the other nodes, and why.
        profiles: by cluster.
        channel: of a command, its reader.
    """

    spec: OperationSpec
    nodes: Mapping[str, NodeSnapshot]
    refused: Mapping[str, Failure]
    profiles: Mapping[str, ProfileSnapshot]
    channel: CommandChannel | None = None


Prepare = Callable[[], Awaitable[PreparedOperation]]
"""Checks and resolves what was asked for; raises what is wrong with it."""


async def start(request: OperationRequest, prepare: Prepare, *, actor: Actor, parts: ControlParts) -> str:
    """Begins what was asked for, unless it was asked for before, and returns the operation's id.

    Raises:
        InvalidControl: the name was given to another request.
        OperationGoesOn, OperationEnds: this process stops.
        DomainError: what `prepare` raises; nothing is left behind then.
    """
    if request.name is None:
        return await _start(request, prepare, actor, parts)
    # Whoever gave it a name may hang up at once: it goes on, and they ask again.
    starting = asyncio.ensure_future(_start(request, prepare, actor, parts))
    starting.add_done_callback(lambda task: task.cancelled() or task.exception())
    return await asyncio.shield(starting)


async def _start(request: OperationRequest, prepare: Prepare, actor: Actor, parts: ControlParts) -> str:
    if (known := await _asked_before(request, parts)) is not None:
        return known
    if parts.log.is_closed:
        raise OperationGoesOn(request.name.request_id) if request.name else OperationEnds("")
    try:
        prepared = await prepare()
    except DomainError as error:
        logger.info("user=%s an operation was refused: %s", actor.user, error)
        raise
    # In one piece, even if the caller hangs up: what is stored is driven.
    creating = asyncio.ensure_future(_create(request, prepared, actor, parts))
    try:
        return await asyncio.shield(creating)
    except asyncio.CancelledError:
        await asyncio.shield(asyncio.ensure_future(_give_up_unnamed(creating, request, parts)))
        raise


async def carry_out(
    request: OperationRequest, prepare: Prepare, tell: Tell, *, actor: Actor, parts: ControlParts
) -> None:
    """Has the operation done unless it was asked for before, and tells what became of each node, of each one time.

    Raises:
        InvalidControl, OperationGoesOn, OperationEnds, DomainError: as `start`; the second and third also later.
    """
    operation_id = await start(request, prepare, actor=actor, parts=parts)
    try:
        await _follow(operation_id, tell, parts)
    except GoingAway:
        if request.name is not None:
            raise OperationGoesOn(request.name.request_id) from None
        await _cancel(operation_id, DEPLOYER_STOPS, parts)
        raise OperationEnds(operation_id) from None
    except asyncio.CancelledError:
        if request.name is None:
            await asyncio.shield(asyncio.ensure_future(_cancel(operation_id, HUNG_UP, parts)))
        raise


async def stop_operation(request_id: str, *, actor: Actor, parts: ControlParts) -> None:
    """Asks for the end of an operation of the caller's own. Raises OperationNotFound."""
    known = await parts.store.find_request(actor.user, request_id)
    if known is None or not is_operation(known.deployment_id):
        raise OperationNotFound(request_id)
    await _cancel(known.deployment_id, STOPPED_BY_CALLER, parts)


async def find_operation(name: str, *, actor: Actor, parts: ControlParts) -> Operation:
    """Returns an operation by its id, or by the request_id that the actor gave it. Raises OperationNotFound."""
    if not is_operation(name):
        known = await parts.store.find_request(actor.user, name) if name else None
        if known is None:
            raise OperationNotFound(name)
        name = known.deployment_id
    return await parts.store.get_operation(name)


async def cancel_operation(name: str, *, reason: str, actor: Actor, parts: ControlParts) -> Operation:
    """Asks for the end of an operation and returns it as it is now. `name`: as for `find_operation`.

    Raises:
        OperationNotFound: there is none.
        OperationNotOwned: it belongs to somebody else.
        OperationFinished: it has ended.
    """
    operation = await find_operation(name, actor=actor, parts=parts)
    if not actor.is_administrator and actor.user != operation.owner:
        raise OperationNotOwned(operation.id, operation.owner)
    text = f"cancelled by {actor.user}{f': {reason}' if reason else ''}"
    try:
        await parts.store.request_cancel(operation.id, reason=text, now=parts.ports.clock.now())
    except DeploymentFinished:
        raise OperationFinished(operation.id) from None
    parts.supervisor.cancel(operation.id)
    return await parts.store.get_operation(operation.id)


async def _asked_before(request: OperationRequest, parts: ControlParts) -> str | None:
    """Returns the operation that the request has already. Raises InvalidControl when its name is another request's."""
    if request.name is None:
        return None
    known = await parts.store.find_request(request.name.owner, request.name.request_id)
    if known is None:
        return None
    if known.fingerprint != request.name.fingerprint:
        raise InvalidControl("request_id", "was given to another request; every request needs one of its own")
    return known.deployment_id


async def _create(request: OperationRequest, prepared: PreparedOperation, actor: Actor, parts: ControlParts) -> str:
    clock, name = parts.ports.clock, request.name
    asked_at, now = clock.monotonic(), clock.now()
    operation_id = new_operation_id(prepared.spec.kind, now)
    nodes: Sequence[NewNode] = [
        *(NewNode(name=node, left_out=failure) for node, failure in prepared.refused.items()),
        *(NewNode(name=node, snapshot=machine) for node, machine in prepared.nodes.items()),
    ]
    new = NewDeployment(
        id=operation_id,
        owner=request.owner,
        request_id=name.request_id if name else "",
        fingerprint=name.fingerprint if name else "",
        needs_right=not actor.is_administrator,
        spec=prepared.spec,
        environment=None,
        profiles=prepared.profiles,
        nodes=tuple(nodes),
        secret=secrets.token_hex(16),
        driver=parts.supervisor.driver,
        lease_seconds=parts.supervisor.lease_seconds,
        wait_seconds=0.0,
        now=now,
    )
    if prepared.channel is not None:
        parts.channels[operation_id] = prepared.channel
    try:
        created = await parts.store.create(new)
    except InvalidDeployment as error:
        parts.channels.pop(operation_id, None)
        # Another deployer was faster with another request of that name.
        raise InvalidControl("request_id", error.violations[0].description) from error
    except BaseException:
        parts.channels.pop(operation_id, None)
        raise
    if not isinstance(created, Created):
        # Nodes that are not free are left out, so it never queues.
        raise AssertionError(created)  # noqa: TRY004 - a fault of ours
    if created.lease is not None:
        parts.supervisor.start(created.lease, since=asked_at)
    return created.deployment_id


async def _give_up_unnamed(creating: "asyncio.Future[str]", request: OperationRequest, parts: ControlParts) -> None:
    """Ends what was created for a caller who hung up meanwhile and who cannot ask for it again."""
    [answer] = await asyncio.gather(creating, return_exceptions=True)
    if isinstance(answer, str) and request.name is None:
        await _cancel(answer, HUNG_UP, parts)


async def _cancel(operation_id: str, reason: str, parts: ControlParts) -> None:
    try:
        await parts.store.request_cancel(operation_id, reason=reason, now=parts.ports.clock.now())
    except DeploymentFinished:
        return
    parts.supervisor.cancel(operation_id)


async def _follow(operation_id: str, tell: Tell, parts: ControlParts) -> None:
    """Tells what became of each node as it becomes known, until the operation has ended."""
    reported: set[str] = set()

    def tell_once(node: str, reason: FailureReason | None, description: str) -> None:
        if node not in reported:
            reported.add(node)
            tell(node, error_of(node, reason, description))

    try:
        async for message in parts.log.watch(operation_id, after=0, store=parts.store, clock=parts.ports.clock):
            if isinstance(message, Snapshot):
                for node in message.deployment.nodes:
                    if has_outcome(node):
                        tell_once(node.node, node.reason, node.description)
            elif isinstance(message, Event) and isinstance(message.kind, NodeStateChanged):
                changed = message.kind
                if changed.state not in (OperationNodeState.TO_DO, OperationNodeState.DOING):
                    tell_once(message.node, changed.reason, changed.description)
    finally:
        parts.channels.pop(operation_id, None)


def has_outcome(node: NodeDeployment) -> bool:
    """Returns whether it is known what became of a node."""
    return not node.active
