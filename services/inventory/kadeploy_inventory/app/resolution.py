"""What the deployer needs for a deployment, in one go."""

from dataclasses import dataclass, replace

from kadeploy_inventory.app.environments import Asker, get_environment
from kadeploy_inventory.app.ports import Clock, Work
from kadeploy_inventory.app.rights import is_production
from kadeploy_inventory.domain.cluster import (
    DEFAULT_CLUSTER,
    Cluster,
    ClusterProfile,
    EnvironmentReference,
)
from kadeploy_inventory.domain.environment import Environment
from kadeploy_inventory.domain.errors import InvalidNode, InvalidRight
from kadeploy_inventory.domain.names import parse_device_name, parse_user_name, partition_word
from kadeploy_inventory.domain.node import Node
from kadeploy_inventory.domain.node_set import expand
from kadeploy_inventory.domain.problems import Problems


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedNode:
    """One node of the set. No node: it is not registered."""

    name: str
    node: Node | None
    allowed: bool
    device: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A deployment with every name turned into what it stands for."""

    nodes: tuple[ResolvedNode, ...]
    environment: Environment | None
    clusters: tuple[Cluster, ...]


def resolve_deployment(
    *,
    user: str,
    nodes: str,
    reference: EnvironmentReference | None,
    device: str,
    partition: int,
    work: Work,
    clock: Clock,
) -> Resolution:
    """Resolves nodes, environment, targets and rights on a user's behalf.

    Unknown nodes and missing rights are results. Without a reference no environment is resolved.
    """
    _check(user=user, device=device, partition=partition)
    names = expand(nodes)
    present = work.nodes.named(names)
    # The target of a node that is not registered is that of the default cluster.
    wanted = {DEFAULT_CLUSTER, *(node.cluster for node in present.values())}
    profiles = {
        name: replace(cluster, profile=cluster.profile.with_defaults())
        for name, cluster in work.clusters.named(wanted).items()
    }
    environment = None if reference is None else get_environment(reference, asker=Asker(user=user), work=work)
    granted = work.rights.granted(user=user, nodes=names, now=clock())
    targets = {name: _target(cluster.profile, device, partition) for name, cluster in profiles.items()}
    words = {name: partition_word(*target) for name, target in targets.items()}
    # By the identity of their disks: the nodes of a cluster share them, and thousands are of few kinds.
    production: dict[tuple[int, str], bool] = {}
    resolved = []
    for name in names:
        node = present.get(name)
        cluster = DEFAULT_CLUSTER if node is None else node.cluster
        allowed = False
        if node is not None:
            word = words[cluster]
            kind = id(node.disks), word
            if kind not in production:
                production[kind] = is_production(node, word)
            allowed = granted.allows(name, word, is_production=production[kind])
        target_device, target_partition = targets[cluster]
        resolved.append(
            ResolvedNode(name=name, node=node, allowed=allowed, device=target_device, partition=target_partition)
        )
    used = {node.cluster for node in present.values()}
    return Resolution(
        nodes=tuple(resolved),
        environment=environment,
        clusters=tuple(profiles[name] for name in sorted(used)),
    )


def _target(profile: ClusterProfile, device: str, partition: int) -> tuple[str, int]:
    return device or profile.default_device, partition or profile.default_partition


def _check(*, user: str, device: str, partition: int) -> None:
    problems = Problems()
    problems.take("user", parse_user_name, user)
    if problems:
        raise InvalidRight.of("the user cannot be resolved", problems.found)
    if device:
        problems.take("device", parse_device_name, device)
    if partition < 0:
        problems.add("partition", f"must be positive, not {partition}")
    if problems:
        raise InvalidNode.of("the target cannot be resolved", problems.found)
