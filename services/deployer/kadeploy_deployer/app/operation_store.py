"""What operations want of the database: the nodes and consoles that they hold, and what runs on the nodes.

An operation is anything done to nodes outside of a deployment. Its locks have a lease: they expire with a deployer that
died, never by their age. `store/` implements it; each method is one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOperation:
    """An operation that is to be. `id` begins with `holder.OPERATION_PREFIX`."""

    id: str
    owner: str
    lease_expires_at: float
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedSystem:
    """The system that a deployment left on a partition and that nothing has overwritten since."""

    node: str
    device: str
    partition: int
    deployment_id: str
    update_time: float
    environment: EnvironmentSnapshot
    spec: DeploymentSpec
    facts: NodeFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKnowledge:
    """What is known of a node's systems. `host_keys`: of the one that was last seen running."""

    host_keys: tuple[str, ...] = ()
    systems: tuple[DeployedSystem, ...] = ()

    @property
    def all_host_keys(self) -> tuple[str, ...]:
        """Returns the host keys of all its systems, the one last seen first."""
        keys = [*self.host_keys, *(key for system in self.systems for key in system.facts.host_keys)]
        return tuple(dict.fromkeys(keys))


class OperationStore(Protocol):
    """Everything durable about operations."""

    async def lock_nodes(self, operation: NewOperation, nodes: Sequence[str]) -> Mapping[str, str]:
        """Locks those of the nodes that are free and returns who holds the others: node → deployment or operation."""
        ...

    async def take_console(self, operation: NewOperation, node: str) -> str:
        """Takes a node's console and returns an empty text, or changes nothing and returns whose it is."""
        ...

    async def renew(self, operation_id: str, *, now: float, lease_expires_at: float) -> int:
        """Renews what an operation holds, and returns how much that is: 0 when the lease has expired."""
        ...

    async def release(self, operation_id: str) -> None:
        """Gives back all that an operation holds."""
        ...

    async def knowledge(self, nodes: Sequence[str]) -> Mapping[str, NodeKnowledge]:
        """Returns what is known of the systems of each of the nodes."""
        ...

    async def note_running(self, operation_id: str, node: str, host_keys: Sequence[str]) -> None:
        """Notes the host keys of the system that runs now, if the operation holds the node still."""
        ...
