"""Which deployed system a reboot means on a node, and what preparing its boot takes."""

from dataclasses import replace

from kadeploy_deployer.domain.located_nodes import located
from kadeploy_deployer.domain.operation import DeployedEnvironment, DeployedPartition, Target
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.ports.node_knowledge import DeployedSystem, NodeKnowledge
from kadeploy_deployer.steps.no_files import NoFiles
from kadeploy_deployer.steps.operation_step import OperationContext
from kadeploy_deployer.steps.step import StepContext


def chosen_system(target: Target, machine: NodeSnapshot, known: NodeKnowledge) -> DeployedSystem | None:
    """Returns the deployed system that a target means on a node, None when there is none."""
    if isinstance(target, DeployedPartition):
        place = (machine.device, machine.partition)
        return next((one for one in known.systems if (one.device, one.partition) == place), None)
    if isinstance(target, DeployedEnvironment):
        found = [one for one in known.systems if _is(target, one)]
        return max(found, key=lambda one: one.update_time, default=None)
    return None


def in_words(target: Target, machine: NodeSnapshot) -> str:
    """Returns how a sentence names what is not there."""
    if isinstance(target, DeployedPartition):
        return f"on {machine.target_word}"
    if isinstance(target, DeployedEnvironment):
        version = f" version {target.version}" if target.version else ""
        return f"the environment {target.name}{version}"
    return "bootable"


def on_its_partition(machine: NodeSnapshot, system: DeployedSystem) -> NodeSnapshot:
    """Returns the node with the partition of a system as its target."""
    return located(replace(machine, device=system.device, partition=system.partition), system.facts)


def system_of(context: OperationContext, node: str) -> DeployedSystem | None:
    """Returns the system on the node's target that the reboot is into; None: it is into none, or there is none."""
    target, machine = context.spec.reboot.target, context.nodes[node]
    if not isinstance(target, DeployedEnvironment | DeployedPartition):
        return None
    found = chosen_system(DeployedPartition(), machine, context.known[node])
    if found is None or (isinstance(target, DeployedEnvironment) and not _is(target, found)):
        return None
    return found


def boot_context(context: OperationContext, node: str, system: DeployedSystem) -> StepContext:
    """Returns what preparing the boot of a deployed system takes.

    What its deployment copied is taken, not what the inventory says now of an environment of that name.
    """
    wanted = context.spec.reboot
    spec = replace(
        system.spec,
        boot_method=wanted.boot_method or system.spec.boot_method,
        kernel_arguments=wanted.kernel_arguments or system.spec.kernel_arguments,
    )
    return StepContext(
        deployment_id=context.deployment_id,
        owner=context.owner,
        spec=spec,
        environment=system.environment,
        nodes={node: context.nodes[node]},
        profiles=context.profiles,
        facts={node: replace(system.facts, system_token=context.facts[node].system_token)},
        ports=context.ports,
        recorder=context.recorder,
        windows=context.windows,
        image=NoFiles(),
        archives=NoFiles(),
        deployment_host_keys=context.deployment_host_keys,
        cluster_public_key="",  # only the step that puts keys into a new system reads it
    )


def _is(target: DeployedEnvironment, system: DeployedSystem) -> bool:
    environment = system.environment
    return (
        environment.name == target.name
        and target.version in {None, environment.version}
        and target.owner in {"", environment.owner}
    )
