"""What operations want of the database: the nodes and consoles that they hold, and what runs on the nodes.

An operation is anything done to nodes outside of a deployment. What it holds has one lease: it ends when nobody renews
it any more (`lease_watch.py`), never by its age. One that was asked for by name is journalled, so that it can be asked
for again. `store/` implements it; each method is one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kadeploy_deployer.domain.error_record import ErrorRecord
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot


class AskedBefore(Exception):
    """The request has an operation, which has ended or has a living deployer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestName:
    """How a caller names a request. `fingerprint`: of all that is asked for, so that another request is noticed."""

    owner: str
    request_id: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRequest:
    """A request that was made before.

    Attributes:
        fingerprint: as it was made.
        is_driven: whether an operation that holds its lease drives it.
        ended: whether every node has its outcome.
        outcomes: of the nodes that have one; None: it went well.
        stop_asked: whether its caller wants it to stop.
    """

    fingerprint: str
    is_driven: bool
    ended: bool
    outcomes: Mapping[str, ErrorRecord | None]
    stop_asked: bool = False

    @property
    def is_abandoned(self) -> bool:
        """True when it is not over and nobody drives it any more."""
        return not self.ended and not self.is_driven


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeNote:
    """A node is begun, or (`ended`) has its outcome; `error_record` None: it went well.

    `mark`: of a node that is begun, what proves later whether it was done; empty: nothing can.
    """

    node: str
    mark: str = ""
    ended: bool = False
    error_record: ErrorRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """Whether an operation still holds its lease, and whether its caller wants it to stop."""

    held: bool
    stop_asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOperation:
    """An operation that is to be. `id` begins with `holder.OPERATION_PREFIX`; `lease_seconds`: from each renewal on."""

    id: str
    owner: str
    lease_seconds: float
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

    async def renew(self, operation_id: str) -> Renewal:
        """Renews the lease of all that an operation holds, and of the request that it drives."""
        ...

    async def release(self, operation_id: str) -> None:
        """Gives back all that an operation holds. Its request has ended if every node has its outcome."""
        ...

    # --- requests that can be made again ---

    async def open_request(
        self, operation: NewOperation, request: RequestName, nodes: Sequence[str], *, refused: Mapping[str, ErrorRecord]
    ) -> Mapping[str, ErrorRecord | None]:
        """Notes that an operation is the one that was asked for, or takes over one that nobody drives any more.

        Args:
            operation: it drives the request from here on.
            request: what was asked for.
            nodes: all of them.
            refused: those with which nothing can be done.

        Returns:
            The nodes that have their outcome already, the refused ones among them. Of one that a dead deployer had
            begun without a mark it is OutcomeUnknown.

        Raises:
            AskedBefore: nothing was changed.
        """
        ...

    async def known_request(self, owner: str, request_id: str) -> KnownRequest | None:
        """Returns what is known of a request, None when it was never made, or is forgotten."""
        ...

    async def note_nodes(self, operation_id: str, notes: Sequence[NodeNote]) -> bool:
        """Notes how far nodes are; returns False and changes nothing when another operation drives the request."""
        ...

    async def marks(self, operation_id: str) -> Mapping[str, str]:
        """Returns the marks of the nodes of its request that are begun and have no outcome yet."""
        ...

    async def ask_stop(self, owner: str, request_id: str) -> bool:
        """Asks whoever drives a request to stop; returns whether there is such a request."""
        ...

    async def forget_requests(self, *, before: float) -> bool:
        """Drops some requests that were made before a time and that nobody drives; returns whether there were any."""
        ...

    async def knowledge(self, nodes: Sequence[str]) -> Mapping[str, NodeKnowledge]:
        """Returns what is known of the systems of each of the nodes."""
        ...

    async def note_running(self, operation_id: str, node: str, host_keys: Sequence[str]) -> None:
        """Notes the host keys of the system that runs now, if the operation holds the node still."""
        ...
