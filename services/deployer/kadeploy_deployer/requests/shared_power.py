"""Supplies that nodes share: whose power else an operation would take is named, and refused unless it is forced."""

from collections.abc import Mapping
from dataclasses import replace

from kadeploy_deployer.domain.control_errors import PowerShared
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import PowerAction, RebootLevel
from kadeploy_deployer.ports import Inventory
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import must_have_right

_REBOOTS = {
    RebootLevel.HARD: frozenset({"hard_reboot"}),
    # A site without a command for it switches off and on.
    RebootLevel.VERY_HARD: frozenset({"very_hard_reboot", "power_off"}),
}
NOTHING: frozenset[str] = frozenset()


def of_reboot(level: RebootLevel | None) -> frozenset[str]:
    """Returns the commands that a reboot of this level runs; a ladder goes past those that it may not run."""
    return _REBOOTS.get(level, NOTHING) if level else NOTHING


def of_power(action: PowerAction, level: RebootLevel | None) -> frozenset[str]:
    """Returns the commands that a power change runs which take power."""
    if action is PowerAction.ON or level is RebootLevel.SOFT:
        return NOTHING
    return frozenset({"power_off"}) if action is PowerAction.OFF else of_reboot(level or RebootLevel.HARD)


async def settle(
    nodes: Mapping[str, NodeSnapshot], commands: frozenset[str], *, force: bool, actor: Actor, inventory: Inventory
) -> Mapping[str, NodeSnapshot]:
    """Returns the nodes; those on whose supply no others are that matter have no sharers any more.

    Args:
        nodes: of the operation.
        commands: what will be run for each.
        force: take the power of the others, too.
        actor: who calls; needs a right on the others when it is forced.
        inventory: knows rights.

    Raises:
        PowerShared: others would lose their power, and it is not forced.
        RightMissing: it is forced, and the caller has no right on some of the others.
    """
    others = {name: set(node.power_sharers) - nodes.keys() for name, node in nodes.items() if node.power_sharers}
    if force:
        touched = sorted(set().union(*others.values()))
        if touched:
            await must_have_right(touched, actor=actor, inventory=inventory, to="take the power of")
    else:
        for name, sharers in others.items():
            if sharers and commands & set(nodes[name].group_commands):
                raise PowerShared(name, sorted(sharers))
    return {
        name: replace(node, power_sharers=()) if name in others and (force or not others[name]) else node
        for name, node in nodes.items()
    }
