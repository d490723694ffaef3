"""An inventory with fixed content, or one that does not answer."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from kadeploy_deployer.domain import node_set
from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.ports import NodeResolution, Resolution
from kadeploy_edge.errors import DomainError


class FakeInventory:
    """Answers every request with the same resolution; `error`, when set, is raised instead.

    `rights`: node to the partitions that every user has a right on; a node that is not in it, when it is not None, has
    none. None: what the resolution says of each node. `checks`: the node sets, users and partitions of all checks;
    `on_check` is called before each of them is answered.
    """

    def __init__(self, resolution: Resolution) -> None:
        self.resolution = resolution
        self.error: DomainError | None = None
        self.rights: dict[str, set[str]] | None = None
        self.asked: list[tuple[DeploymentSpec, str]] = []
        self.described = b""
        self.addresses: frozenset[str] = frozenset()
        self.checks: list[tuple[str, str, str]] = []
        self.on_check: Callable[[], None] = lambda: None

    async def resolve(self, spec: DeploymentSpec, *, user: str, described: bytes = b"") -> Resolution:
        """As in the port."""
        self.asked.append((spec, user))
        self.described = described
        if self.error is not None:
            raise self.error
        return self.resolution

    async def resolve_nodes(self, nodes: str, *, user: str, device: str = "", partition: int = 0) -> NodeResolution:
        """As in the port."""
        if self.error is not None:
            raise self.error
        found = {node.name: node for node in self.resolution.nodes}
        wanted = []
        for name in node_set.expand(nodes):
            node = found[name]
            if node.snapshot is not None:
                snapshot = replace(
                    node.snapshot,
                    device=device or node.snapshot.device,
                    partition=partition or node.snapshot.partition,
                )
                node = replace(node, snapshot=snapshot)
            wanted.append(node)
        return NodeResolution(nodes=tuple(wanted), profiles=self.resolution.profiles)

    async def file_addresses(self) -> frozenset[str]:
        """As in the port; `addresses` says which."""
        if self.error is not None:
            raise self.error
        return self.addresses

    async def check_rights(self, nodes: str, *, user: str, partition: str = "") -> Mapping[str, bool]:
        """As in the port."""
        self.checks.append((nodes, user, partition))
        self.on_check()
        if self.error is not None:
            raise self.error
        if self.rights is None:
            known = {node.name: node.allowed for node in self.resolution.nodes}
            return {name: known.get(name, False) for name in node_set.expand(nodes)}
        answers = {}
        for name in node_set.expand(nodes):
            partitions = self.rights.get(name, set())
            answers[name] = partition in partitions if partition else bool(partitions)
        return answers
