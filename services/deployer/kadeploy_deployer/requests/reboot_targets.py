"""What nodes are to boot in a reboot outside of a deployment, and which deployed system that is."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kadeploy_deployer.domain.located_nodes import located
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import BootMethod
from kadeploy_deployer.nodes.probe import NODE_ARGUMENT, TOKEN_ARGUMENT
from kadeploy_deployer.ports import BootDeploymentKernel, BootTarget
from kadeploy_deployer.ports.operation_store import DeployedSystem, NodeKnowledge
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.requests.node_access import AllowedNodes, ControlParts
from kadeploy_deployer.steps.no_files import NoFiles
from kadeploy_deployer.steps.null_recorder import NullRecorder
from kadeploy_deployer.steps.step import StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentEntry:
    """Whatever the node boots as things stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentKernel:
    """The deployment environment. `label` empty: the cluster's."""

    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedEnvironment:
    """The partition to which this environment was deployed; the latest, if there are several."""

    name: str
    version: int | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedPartition:
    """What was deployed on this partition. Empty and 0: the cluster's default."""

    device: str = ""
    partition: int = 0


Target = PresentEntry | DeploymentKernel | DeployedEnvironment | DeployedPartition


def new_token() -> str:
    """Returns a token for a kernel command line that nobody can guess."""
    return secrets.token_hex(16)


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


def deployment_kernel_targets(
    target: DeploymentKernel,
    nodes: Sequence[str],
    *,
    allowed: AllowedNodes,
    tokens: Mapping[str, str],
    kernel_arguments: str,
) -> dict[str, BootTarget]:
    """Returns what nodes boot next: the deployment kernel with a token of this reboot."""
    targets: dict[str, BootTarget] = {}
    for node in nodes:
        profile = allowed.profiles[allowed.nodes[node].cluster]
        words = (
            kernel_arguments or profile.deployment_kernel_arguments,
            f"{TOKEN_ARGUMENT}={tokens[node]}",
            f"{NODE_ARGUMENT}={node}",
        )
        targets[node] = BootDeploymentKernel(
            label=target.label or profile.deployment_kernel_label, arguments=" ".join(word for word in words if word)
        )
    return targets


def boot_contexts(
    systems: Mapping[str, DeployedSystem],
    *,
    operation_id: str,
    owner: str,
    allowed: AllowedNodes,
    tokens: Mapping[str, str],
    kernel_arguments: str,
    boot_method: BootMethod | None,
    parts: ControlParts,
    ports: StepPorts,
) -> list[StepContext]:
    """Returns what preparing the boot of deployed systems takes: one context for each deployment that made them.

    What the deployment copied is taken, not what the inventory says now of an environment of that name.
    """
    groups: dict[tuple[str, str, int], dict[str, DeployedSystem]] = {}
    for node, system in systems.items():
        groups.setdefault((system.deployment_id, system.device, system.partition), {})[node] = system
    contexts = []
    for group in groups.values():
        one = next(iter(group.values()))
        spec = replace(
            one.spec,
            boot_method=boot_method or one.spec.boot_method,
            kernel_arguments=kernel_arguments or one.spec.kernel_arguments,
        )
        facts = {node: replace(system.facts, system_token=tokens[node]) for node, system in group.items()}
        contexts.append(
            StepContext(
                deployment_id=operation_id,
                owner=owner,
                spec=spec,
                environment=one.environment,
                nodes={node: on_its_partition(allowed.nodes[node], system) for node, system in group.items()},
                profiles=allowed.profiles,
                facts=facts,
                ports=ports,
                recorder=NullRecorder(),
                windows=parts.windows,
                image=NoFiles(),
                archives=NoFiles(),
                deployment_host_keys=parts.deployment_host_keys,
                cluster_public_key="",  # only the step that puts keys into a new system reads it
            )
        )
    return contexts


def _is(target: DeployedEnvironment, system: DeployedSystem) -> bool:
    environment = system.environment
    return (
        environment.name == target.name
        and target.version in {None, environment.version}
        and target.owner in {"", environment.owner}
    )
