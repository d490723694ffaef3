"""Switching the power of nodes, and asking for it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial

from kadeploy_deployer.domain.control_errors import InvalidControl
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.engine.operation import RunningOperation, on_each, with_locks
from kadeploy_deployer.engine.operation_request import OperationRequest, Tell
from kadeploy_deployer.nodes.command_result import last_words
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.ports import ShellHost
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import ControlParts, allowed_nodes, make_guard
from kadeploy_edge.errors import DomainError

SHUTDOWN_SECONDS = 40.0
OFF_SECONDS = 120.0
POLL_PAUSE = 3.0
TO = "switch the power of"

# Answers before the machine goes down, so that the session ends in order.
_POWER_OFF = "(sleep 1; exec poweroff) </dev/null >/dev/null 2>&1 &"


class PowerAction(StrEnum):
    """What can be done to the power of a node."""

    ON = "on"
    OFF = "off"
    CYCLE = "cycle"


async def set_power(
    nodes: str,
    action: PowerAction,
    level: RebootLevel | None,
    *,
    actor: Actor,
    parts: ControlParts,
    request: OperationRequest,
    tell: Tell,
) -> None:
    """Switches the power of nodes and tells what became of each.

    Args:
        nodes: a node set.
        action: what to do.
        level: how hard. Off: "soft" logs in and shuts the system down. Cycle: a reboot of that level. None: hard.
        actor: who calls.
        parts: the world.
        request: how the operation is known.
        tell: called for every node.

    Raises:
        InvalidNodeSet, RightMissing: see `node_access.allowed_nodes`. A right that ends later leaves its node alone.
        InvalidControl: no such level for the action.
        AskedBefore: the request has an operation already.
    """
    if action is PowerAction.ON and level is RebootLevel.SOFT:
        raise InvalidControl("level", "cannot be soft for switching on: nothing runs there that could be asked")
    allowed = await allowed_nodes(nodes, actor=actor, inventory=parts.inventory, to=TO)
    guard = make_guard(parts, actor, to=TO)
    known = await parts.lease_holder.store.knowledge(list(allowed.nodes)) if level is RebootLevel.SOFT else {}

    async def one(name: str, held: RunningOperation) -> None:
        machine = allowed.nodes[name]
        await guard.must_have(name)
        await held.begin(name)
        host = ShellHost(
            name=name,
            address=machine.ip_address,
            host_keys=(*(known[name].all_host_keys if name in known else ()), *parts.deployment_host_keys),
        )
        if action is PowerAction.ON:
            await parts.ports.power.power_on(machine)
        elif action is PowerAction.CYCLE:
            await parts.ports.power.reboot(machine, level or RebootLevel.VERY_HARD)
        elif level is RebootLevel.SOFT:
            await _shut_down(machine, host, parts)
        else:
            await parts.ports.power.power_off(machine)
        await parts.ports.shell.forget(host)

    async def work(held: RunningOperation, free: Sequence[str]) -> None:
        await on_each(free, partial(one, held=held), held.tell)

    await with_locks(
        parts.lease_holder,
        kind="power",
        request=request,
        nodes=list(allowed.nodes),
        refused=allowed.refused,
        work=work,
        tell=tell,
    )


async def get_power(nodes: str, *, actor: Actor, parts: ControlParts) -> Mapping[str, bool | DomainError | None]:
    """Returns of each node whether its power is on, None when the site cannot tell, or what went wrong.

    Nothing is changed, so no lock is taken: the power of a node in a deployment can be asked for.
    """
    allowed = await allowed_nodes(nodes, actor=actor, inventory=parts.inventory, to="ask for the power of")
    found: dict[str, bool | DomainError | None] = dict(allowed.refused)

    async def one(name: str) -> None:
        found[name] = await parts.ports.power.is_on(allowed.nodes[name])

    async def report(node: str, error: DomainError | None) -> None:
        if error is not None:
            found[node] = error

    await on_each(list(allowed.nodes), one, report)
    return found


async def _shut_down(machine: NodeSnapshot, host: ShellHost, parts: ControlParts) -> None:
    """Lets the system end itself, and waits until the power is off where the site can tell."""
    result = await parts.ports.shell.run(host, ("sh", "-c", _POWER_OFF, "poweroff"), timeout=SHUTDOWN_SECONDS)
    if result.exit_status:
        raise NodeFailed(f"{machine.name} did not shut down: {last_words(result)}")
    clock = parts.ports.clock
    deadline = clock.monotonic() + OFF_SECONDS
    while await parts.ports.power.is_on(machine):
        if clock.monotonic() >= deadline:
            raise NodeFailed(f"{machine.name} still has power {OFF_SECONDS:g} s after it was asked to shut down")
        await clock.sleep(POLL_PAUSE)
