"""Rebooting nodes outside of a deployment: who may, and what each node is to boot."""

from collections.abc import Mapping

from kadeploy_deployer.domain.control_errors import InvalidControl, NothingDeployedThere
from kadeploy_deployer.domain.operation import (
    VERBS,
    DeployedEnvironment,
    DeployedPartition,
    OperationSpec,
    PresentEntry,
    RebootSpec,
)
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import BootMethod, FailureReason, OperationKind
from kadeploy_deployer.requests import shared_power
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import AllowedNodes, ControlParts, allowed_nodes, must_have_right
from kadeploy_deployer.requests.operations import OperationRequest, Prepare, PreparedOperation
from kadeploy_deployer.steps.deployed_system import chosen_system, in_words, on_its_partition


def reboot(
    nodes: str,
    wanted: RebootSpec,
    *,
    force: bool = False,
    actor: Actor,
    parts: ControlParts,
    request: OperationRequest,
) -> Prepare:
    """Returns what checks and resolves a reboot.

    Args:
        nodes: a node set.
        wanted: how they are rebooted, and into what.
        force: take the power of other nodes on the same supplies, too.
        actor: who calls.
        parts: the world.
        request: how the operation is known.

    Raises, when it is called:
        InvalidNodeSet, InvalidControl: it can never be done.
        RightMissing: on some node, or on the partition that is to be booted.
        NothingDeployedThere: on none of the nodes.
        PowerShared: see `shared_power.settle`.
    """

    async def prepare() -> PreparedOperation:
        _check(wanted)
        of_partition = wanted.partition or DeployedPartition()
        allowed = await allowed_nodes(
            nodes,
            actor=actor,
            inventory=parts.inventory,
            device=of_partition.device,
            partition=of_partition.partition,
            to=VERBS[OperationKind.REBOOT],
        )
        machines, lacking = allowed.nodes, dict[str, Failure]()
        if isinstance(wanted.target, DeployedEnvironment | DeployedPartition):
            machines, lacking = await _on_their_systems(wanted, allowed, actor, parts)
        commands = shared_power.NOTHING if wanted.prepare_only else shared_power.of_reboot(wanted.level)
        machines = await shared_power.settle(machines, commands, force=force, actor=actor, inventory=parts.inventory)
        spec = OperationSpec(kind=OperationKind.REBOOT, nodes=nodes, reboot=wanted, ends_with_call=request.name is None)
        return PreparedOperation(
            spec=spec, nodes=machines, refused={**allowed.refused, **lacking}, profiles=allowed.profiles
        )

    return prepare


async def _on_their_systems(
    wanted: RebootSpec, allowed: AllowedNodes, actor: Actor, parts: ControlParts
) -> tuple[Mapping[str, NodeSnapshot], dict[str, Failure]]:
    """Returns the nodes with the partition of the wanted system as their target, and why others have none."""
    if wanted.partition is not None:
        # The right is asked for before anything is said of what lies there.
        await _check_partitions(allowed.nodes, actor, parts)
    known = await parts.store.knowledge(list(allowed.nodes))
    machines: dict[str, NodeSnapshot] = {}
    lacking: dict[str, NothingDeployedThere] = {}
    for name, machine in allowed.nodes.items():
        system = chosen_system(wanted.target, machine, known[name])
        if system is None:
            lacking[name] = NothingDeployedThere(name, in_words(wanted.target, machine))
        else:
            machines[name] = on_its_partition(machine, system)
    if allowed.nodes and not machines:
        raise next(iter(lacking.values()))
    await _check_partitions(machines, actor, parts)
    return machines, {
        name: Failure(reason=FailureReason.NOTHING_DEPLOYED_THERE, description=error.message)
        for name, error in lacking.items()
    }


def _check(wanted: RebootSpec) -> None:
    if set(wanted.kernel_arguments) & set("\n\r\0"):
        raise InvalidControl("kernel_arguments", "must be one line")
    if isinstance(wanted.target, PresentEntry) and wanted.prepare_only:
        raise InvalidControl("prepare_only", "has nothing to prepare: a simple reboot boots what the entry says")
    if isinstance(wanted.target, PresentEntry) and wanted.kernel_arguments:
        raise InvalidControl("kernel_arguments", "cannot be given for a simple reboot; name what is to be booted")
    if wanted.environment is not None and not wanted.environment.name:
        raise InvalidControl("environment.name", "names no environment")
    if wanted.boot_method and not isinstance(wanted.target, DeployedEnvironment | DeployedPartition):
        raise InvalidControl("boot_method", "is for a deployed system alone; name its environment or partition")
    if wanted.boot_method is BootMethod.KEXEC:
        raise InvalidControl("boot_method", "cannot be kexec: only a deployment starts its system so")


async def _check_partitions(machines: Mapping[str, NodeSnapshot], actor: Actor, parts: ControlParts) -> None:
    """Raises RightMissing unless the caller has a right on the very partition of each node."""
    by_partition: dict[str, list[str]] = {}
    for name, machine in machines.items():
        by_partition.setdefault(machine.target_word, []).append(name)
    for word, names in by_partition.items():
        await must_have_right(
            names,
            actor=actor,
            inventory=parts.inventory,
            partitions=dict.fromkeys(names, word),
            to=f"boot partition {word} of",
        )
