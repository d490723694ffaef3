"""What every call on nodes begins with: who they are, whether they are known, and whether the caller may."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kadeploy_deployer.domain.errors import RightMissing
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import NodeSnapshot, ProfileSnapshot
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.engine.console_lease import ConsoleLeases
from kadeploy_deployer.engine.event_log import EventLog
from kadeploy_deployer.engine.rights import RightsGuard, RightsQuery, find_missing_rights
from kadeploy_deployer.engine.supervisor import Supervisor
from kadeploy_deployer.ports import Console, Inventory
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.expansion import expand_aside
from kadeploy_deployer.steps.operation_step import CommandChannel


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlParts:
    """All that the calls on nodes work with.

    `channels`: by operation, the commands whose callers are here; `deployment_host_keys`: of the deployment
    environment's sshd.
    """

    inventory: Inventory
    store: DeploymentStore
    supervisor: Supervisor
    log: EventLog
    consoles: ConsoleLeases
    ports: StepPorts
    channels: dict[str, CommandChannel]
    console: Console
    deployment_host_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedNodes:
    """The nodes of a call that the caller may work on. `nodes` and `unknown` in the order of the node set."""

    nodes: Mapping[str, NodeSnapshot]
    profiles: Mapping[str, ProfileSnapshot]
    unknown: tuple[str, ...]

    @property
    def refused(self) -> Mapping[str, Failure]:
        """Why the nodes that are not registered take no part."""
        return {
            node: Failure(reason=FailureReason.UNKNOWN_NODE, description=f"{node} is not registered")
            for node in self.unknown
        }


async def allowed_nodes(
    nodes: str, *, actor: Actor, inventory: Inventory, device: str = "", partition: int = 0, to: str = "work on"
) -> AllowedNodes:
    """Resolves a node set on which the caller has any right.

    Args:
        nodes: a node set.
        actor: who calls; an administrator needs no right.
        inventory: knows both.
        device: of the target, where the call has one; empty for each cluster's default.
        partition: of the target; 0 for each cluster's default.
        to: what the caller wants, as an error says it.

    Raises:
        InvalidNodeSet: the text is none.
        RightMissing: the caller has no right on some of them; nothing is done to any.
    """
    await expand_aside(nodes)
    found = await inventory.resolve_nodes(nodes, user=actor.user, device=device, partition=partition)
    known = {node.name: node.snapshot for node in found.nodes if node.snapshot is not None}
    await must_have_right(list(known), actor=actor, inventory=inventory, to=to)
    return AllowedNodes(
        nodes=known,
        profiles=found.profiles,
        unknown=tuple(node.name for node in found.nodes if node.snapshot is None),
    )


def make_guard(
    parts: ControlParts, actor: Actor, *, to: str, partitions: Mapping[str, str] | None = None
) -> RightsGuard:
    """Returns what asks for the caller's right again before each act.

    Args:
        parts: the world.
        actor: who calls; an administrator needs no right.
        to: what the caller wants, as an error says it.
        partitions: by node, "sda3": what a right has to name; any right will do on the other nodes.
    """
    return RightsGuard(_query(actor, to, partitions or {}), inventory=parts.inventory, clock=parts.ports.clock)


async def must_have_right(
    nodes: Sequence[str], *, actor: Actor, inventory: Inventory, to: str, partitions: Mapping[str, str] | None = None
) -> None:
    """Raises RightMissing unless the caller has a right on all the nodes. Arguments as for `make_guard`."""
    missing = await find_missing_rights(_query(actor, to, partitions or {}), nodes, inventory=inventory)
    if missing:
        raise RightMissing(actor.user, [node for node in nodes if node in missing], to=to)


def _query(actor: Actor, to: str, partitions: Mapping[str, str]) -> RightsQuery:
    return RightsQuery(user="" if actor.is_administrator else actor.user, partitions=partitions, to=to)
