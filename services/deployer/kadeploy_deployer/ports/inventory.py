"""Knowing nodes, environments and rights. Adapter: `adapters/inventory_grpc.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from kadeploy_deployer.domain.snapshot import (
    DeploymentSpec,
    EnvironmentSnapshot,
    NodeSnapshot,
    ProfileSnapshot,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedNode:
    """A node as resolved: `snapshot` None when it is unknown; `allowed`: the user may deploy to the target."""

    name: str
    snapshot: NodeSnapshot | None
    allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """All that a deployment copies. `profiles` by cluster name; `nodes` in the order of the node set."""

    nodes: tuple[ResolvedNode, ...]
    environment: EnvironmentSnapshot
    profiles: Mapping[str, ProfileSnapshot]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResolution:
    """Nodes without an environment. `profiles` by cluster name; `nodes` in the order of the node set."""

    nodes: tuple[ResolvedNode, ...]
    profiles: Mapping[str, ProfileSnapshot]


class Inventory(Protocol):
    """Knows nodes, environments and rights."""

    async def resolve(self, spec: DeploymentSpec, *, user: str, described: bytes = b"") -> Resolution:
        """Resolves a request.

        Raises a DomainError of the inventory's kind, or Unreachable.

        Args:
            spec: what is wanted.
            user: for whom.
            described: an environment that takes the place of a recorded one, in the inventory's own form.
        """
        ...

    async def resolve_nodes(self, nodes: str, *, user: str, device: str = "", partition: int = 0) -> NodeResolution:
        """Resolves a node set and its target alone; without device or partition, each cluster's default.

        Raises a DomainError of the inventory's kind, or Unreachable.
        """
        ...

    async def file_addresses(self) -> frozenset[str]:
        """Returns the addresses of all files that recorded environments name.

        Raises a DomainError of the inventory's kind, or Unreachable.
        """
        ...

    async def check_rights(self, nodes: str, *, user: str, partition: str = "") -> Mapping[str, bool]:
        """Returns for each node of a set whether a user has a right on the partition ("sda3"), or any right at all.

        Raises a DomainError of the inventory's kind, or Unreachable.
        """
        ...
