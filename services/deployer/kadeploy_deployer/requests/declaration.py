"""Declaring what partitions hold that no deployment wrote: the site's own system, installed by something else."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.control_errors import InvalidControl
from kadeploy_deployer.domain.declaration import (
    DECLARATION_PREFIX,
    Declaration,
    DeclarationRequest,
    DeclaredPartition,
)
from kadeploy_deployer.domain.eligibility import obstacle
from kadeploy_deployer.domain.feasibility import impossible
from kadeploy_deployer.domain.holder import in_words
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot, NodeSnapshot
from kadeploy_deployer.domain.states import BootMethod, FailureReason
from kadeploy_deployer.nodes.host_key import public_keys
from kadeploy_deployer.ports import Clock, Inventory
from kadeploy_deployer.ports.declaration_store import DeclarationStore
from kadeploy_deployer.ports.inventory import NodeResolution, Resolution
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.expansion import expand_aside


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredNode:
    """What became of a node's part. `refusal`: why it kept what it had; None: it is declared."""

    node: str
    device: str = ""
    partition: int = 0
    refusal: Failure | None = None


async def declare_partitions(
    request: DeclarationRequest, *, actor: Actor, inventory: Inventory, store: DeclarationStore, clock: Clock
) -> tuple[DeclaredNode, ...]:
    """Stores what the partitions of nodes hold, and returns what became of each node, in the order of the node set.

    Raises:
        InvalidNodeSet, InvalidControl: it can never be declared so.
        A DomainError of the inventory's kind: it does not know the environment, or does not answer.
    """
    spec = request.spec
    await expand_aside(spec.nodes)
    _check(request)
    found: NodeResolution | Resolution
    environment = None
    if request.empty:
        found = await inventory.resolve_nodes(spec.nodes, user=actor.user, device=spec.device, partition=spec.partition)
    else:
        found = await inventory.resolve(spec, user=actor.user)
        environment = found.environment
        spec = _with_boot_method(spec, found)
    refusals = {node.name: _refusal(node.snapshot, environment) for node in found.nodes}
    declaration = Declaration(
        id=f"{DECLARATION_PREFIX}{time.strftime('%Y%m%d', time.gmtime(clock.now()))}-{secrets.token_hex(5)}",
        owner=actor.user,
        spec=spec,
        environment=environment,
        partitions=tuple(
            DeclaredPartition(
                node=node.name,
                device=node.snapshot.device,
                partition=node.snapshot.partition,
                host_keys=request.host_keys.get(node.name, ()),
            )
            for node in found.nodes
            if node.snapshot is not None and refusals[node.name] is None
        ),
        now=clock.now(),
    )
    held = await store.declare(declaration)
    refusals |= {
        node: Failure(reason=FailureReason.BUSY, description=f"{node} is held by {in_words(holder)}")
        for node, holder in held.items()
    }
    return tuple(
        DeclaredNode(
            node=node.name,
            device=node.snapshot.device if node.snapshot else "",
            partition=node.snapshot.partition if node.snapshot else 0,
            refusal=refusals[node.name],
        )
        for node in found.nodes
    )


def _check(request: DeclarationRequest) -> None:
    spec = request.spec
    if request.empty and spec.environment_name:
        raise InvalidControl("empty", "cannot be said beside an environment")
    if not request.empty and not spec.environment_name:
        raise InvalidControl("environment_name", "names no environment")
    if spec.boot_method is BootMethod.KEXEC:
        raise InvalidControl("boot_method", "cannot be kexec: only a deployment starts its system so")
    if set(spec.kernel_arguments) & set("\n\r\0"):
        raise InvalidControl("kernel_arguments", "must be one line")
    for node, keys in request.host_keys.items():
        for key in keys:
            if not public_keys(key):
                raise InvalidControl("host_keys", f"of {node} has a line that is no public key: {key[:60]!r}")


def _with_boot_method(spec: DeploymentSpec, found: Resolution) -> DeploymentSpec:
    """Returns the spec with the way that its system boots; raises InvalidControl where defaults differ."""
    environment = found.environment
    clusters = {node.snapshot.cluster for node in found.nodes if node.snapshot is not None} & found.profiles.keys()
    defaults: Mapping[str, BootMethod] = {name: found.profiles[name].boot_method for name in sorted(clusters)}
    methods = {
        boot_choice.chosen(spec.boot_method, environment, default=default)
        for default in defaults.values() or [BootMethod.NETWORK]
    }
    if len(methods) > 1:
        words = ", ".join(f"{default} in {name}" for name, default in defaults.items())
        raise InvalidControl("boot_method", f"is not the same by default on all nodes ({words}): name one")
    spec = replace(spec, boot_method=methods.pop(), whole_disk=environment.whole_disk)
    if (problem := impossible(spec, environment)) is not None:
        raise InvalidControl(problem.field, f"cannot be so: {problem.text}")
    return spec


def _refusal(node: NodeSnapshot | None, environment: EnvironmentSnapshot | None) -> Failure | None:
    """Returns why nothing can be declared of a node's partition; what is installed already has room there."""
    if environment is not None:
        there = replace(environment, required_size_bytes=0, image=replace(environment.image, size_bytes=0))
        return obstacle(node, there)
    if node is None:
        return Failure(reason=FailureReason.UNKNOWN_NODE, description="not registered")
    return None
