"""What the deployer needs for a deployment, in one go."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from kadeploy_inventory.app.environments import Asker, check_described, get_environment
from kadeploy_inventory.app.ports import Clock, Work
from kadeploy_inventory.app.power_groups import power_sharers
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


class ResolvedNode(NamedTuple):
    """One node of the set. No node: it is not registered. A tuple, for thousands are made at a time.

    Attributes:
        name: as it was asked for.
        node: as it stands.
        allowed: whether the user may deploy the target.
        device: of the target.
        partition: of the target.
        controller: where the management controller answers.
        power_sharers: a node set: the others on the same supply.
    """

    name: str
    node: Node | None
    allowed: bool
    device: str
    partition: int
    controller: str = ""
    power_sharers: str = ""


class _Target(NamedTuple):
    """Where nodes of one kind are to be deployed: the partition's word, and whether the site's own system is there."""

    device: str
    partition: int
    word: str
    is_production: bool


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
    description: Environment | None = None,
    device: str,
    partition: int,
    work: Work,
    clock: Clock,
) -> Resolution:
    """Resolves nodes, environment, targets and rights on a user's behalf.

    Unknown nodes and missing rights are results. Without a reference or a description no environment is resolved.
    """
    _check(user=user, device=device, partition=partition)
    names = expand(nodes)
    present = work.nodes.named(names)
    # The target of a node that is not registered is that of the default cluster.
    wanted = {DEFAULT_CLUSTER, *(node.cluster for node in present.values())}
    described = work.clusters.named(wanted)
    profiles = {name: replace(cluster, profile=cluster.profile.with_defaults()) for name, cluster in described.items()}
    environment = None if description is None else check_described(description, owner=user, work=work)
    if environment is None and reference is not None:
        environment = get_environment(reference, asker=Asker(user=user), work=work)
    granted = work.rights.granted(user=user, nodes=names, now=clock())
    # By the identity of their disks: the nodes of a cluster share them, and thousands are of few kinds.
    targets: dict[tuple[int, str], _Target] = {}
    elsewhere = _target(profiles[DEFAULT_CLUSTER].profile, None, device, partition)
    sharers = power_sharers(present, {name: each.profile for name, each in profiles.items()}, work)
    resolved = []
    for name in names:
        node = present.get(name)
        if node is None:
            resolved.append(ResolvedNode(name, None, False, elsewhere.device, elsewhere.partition))
            continue
        kind = id(node.disks), node.cluster
        target = targets.get(kind)
        if target is None:
            # A node with one disk needs nobody to say which.
            of_node = described[node.cluster].profile.default_device or node.only_device
            target = targets[kind] = _target(profiles[node.cluster].profile, node, device or of_node, partition)
        allowed = granted.allows(name, target.word, is_production=target.is_production)
        controller = node.controller(profiles[node.cluster].profile.bmc_address)
        others = sharers.get(name, "")
        resolved.append(ResolvedNode(name, node, allowed, target.device, target.partition, controller, others))
    used = {node.cluster for node in present.values()}
    return Resolution(
        nodes=tuple(resolved),
        environment=environment,
        clusters=tuple(profiles[name] for name in sorted(used)),
    )


def _target(profile: ClusterProfile, node: Node | None, device: str, partition: int) -> _Target:
    device, partition = device or profile.default_device, partition or profile.default_partition
    word = partition_word(device, partition)
    return _Target(device, partition, word, is_production(node, word))


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
