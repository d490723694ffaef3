"""Switching the power of nodes, and asking for it."""

import asyncio
from collections.abc import Mapping

from kadeploy_deployer.domain.control_errors import InvalidControl, NodeNotFound, PowerFailed
from kadeploy_deployer.domain.operation import VERBS, OperationSpec, PowerSpec
from kadeploy_deployer.domain.states import OperationKind, PowerAction, RebootLevel
from kadeploy_deployer.ports import PowerError
from kadeploy_deployer.requests import shared_power
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import ControlParts, allowed_nodes
from kadeploy_deployer.requests.operations import OperationRequest, Prepare, PreparedOperation
from kadeploy_edge.errors import DomainError

NODES_AT_ONCE = 100


def power_change(
    nodes: str,
    action: PowerAction,
    level: RebootLevel | None,
    *,
    force: bool = False,
    actor: Actor,
    parts: ControlParts,
    request: OperationRequest,
) -> Prepare:
    """Returns what checks and resolves a power change.

    Args:
        nodes: a node set.
        action: what to do.
        level: how hard. Off: "soft" logs in and shuts the system down. Cycle: a reboot of that level. None: hard.
        force: take the power of other nodes on the same supplies, too.
        actor: who calls.
        parts: the world.
        request: how the operation is known.

    Raises, when it is called:
        InvalidNodeSet, RightMissing: see `node_access.allowed_nodes`. A right that ends later leaves its node alone.
        InvalidControl: no such level for the action.
        PowerShared: see `shared_power.settle`.
    """

    async def prepare() -> PreparedOperation:
        if action is PowerAction.ON and level is RebootLevel.SOFT:
            raise InvalidControl("level", "cannot be soft for switching on: nothing runs there that could be asked")
        allowed = await allowed_nodes(nodes, actor=actor, inventory=parts.inventory, to=VERBS[OperationKind.POWER])
        spec = OperationSpec(
            kind=OperationKind.POWER,
            nodes=nodes,
            power=PowerSpec(action=action, level=level),
            ends_with_call=request.name is None,
        )
        nodes_of_it = await shared_power.settle(
            allowed.nodes, shared_power.of_power(action, level), force=force, actor=actor, inventory=parts.inventory
        )
        return PreparedOperation(spec=spec, nodes=nodes_of_it, refused=allowed.refused, profiles=allowed.profiles)

    return prepare


async def get_power(nodes: str, *, actor: Actor, parts: ControlParts) -> Mapping[str, bool | DomainError | None]:
    """Returns of each node whether its power is on, None when the site cannot tell, or what went wrong.

    Nothing is changed, so no lock is taken: the power of a node in a deployment can be asked for.
    """
    allowed = await allowed_nodes(nodes, actor=actor, inventory=parts.inventory, to="ask for the power of")
    found: dict[str, bool | DomainError | None] = {node: NodeNotFound(node) for node in allowed.unknown}
    at_once = asyncio.Semaphore(NODES_AT_ONCE)

    async def look(name: str) -> None:
        async with at_once:
            try:
                found[name] = await parts.ports.power.is_on(allowed.nodes[name])
            except PowerError as error:
                found[name] = PowerFailed(str(error), metadata={"node": name})

    async with asyncio.TaskGroup() as looks:
        for name in allowed.nodes:
            looks.create_task(look(name))
    return found
