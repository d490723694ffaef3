"""What a step of an operation is given: of a reboot, a power change or a command outside of a deployment."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from kadeploy_deployer.domain.errors import RightMissing, StoreFailed
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.operation import OperationSpec
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.snapshot import NodeSnapshot, ProfileSnapshot
from kadeploy_deployer.domain.states import FailureReason, OperationNodeState
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.nodes.reboot_window import RebootWindows, Turns
from kadeploy_deployer.ports import BootError, CommandTimedOut, ImageError, PowerError, ShellError
from kadeploy_deployer.ports.node_knowledge import NodeKnowledge
from kadeploy_deployer.ports.recorder import Recorder
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.steps.step import NodeStep
from kadeploy_edge.errors import Unreachable

# A kind stands before the kinds that it is one of.
_REASONS: Mapping[type[Exception], FailureReason] = {
    NodeFailed: FailureReason.NOT_THERE_AFTER_REBOOT,
    CommandTimedOut: FailureReason.COMMAND_TIMED_OUT,
    ShellError: FailureReason.NODE_UNREACHABLE,
    PowerError: FailureReason.POWER_FAILED,
    BootError: FailureReason.BOOT_FILES_FAILED,
    ImageError: FailureReason.BOOT_FILES_FAILED,
    RightMissing: FailureReason.NO_RIGHT,
    # The inventory, which says who has a right.
    Unreachable: FailureReason.INVENTORY_UNREACHABLE,
}


class UserRights(Protocol):
    """Asks for the right of the operation's user."""

    async def must_have(self, node: str) -> None:
        """Returns if the user has the right on a node. Raises RightMissing, Unreachable."""
        ...

    async def hold_during(self, node: str, work: Awaitable[None]) -> None:
        """Does the work, and ends it when the right on the node ends. Raises as `must_have`, and what the work does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandChannel:
    """A command and its reader: they are in this process alone, and kept nowhere.

    Attributes:
        arguments: the command; no shell reads it.
        timeout: seconds for each node.
        stdin: what the command reads.
        show: shows what it printed on a node, and whether on standard error; waits when its reader does not read.
        exit_statuses: by node, how it ended there.
    """

    arguments: tuple[str, ...]
    timeout: float
    stdin: bytes
    show: Callable[[str, bytes, bool], Awaitable[None]]
    exit_statuses: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationContext:
    """All that a step knows of its operation.

    Attributes:
        deployment_id: the operation's id.
        owner: the user for whom it is done.
        spec: what was asked for.
        nodes: every node that takes part; its target is the partition that is booted, where one is.
        profiles: by cluster.
        facts: what is known of each node up to now.
        known: the systems of each node, as they stand while the operation holds it.
        ports: the world.
        recorder: where remarks and new facts go.
        windows: limits how many nodes of a cluster reboot at a time.
        at_once: limits how many nodes are switched or run a command at a time.
        rights: asked before each act.
        command: of an operation that runs one; None: its reader is gone.
        deployment_host_keys: public keys of the deployment environment's sshd.
        timeout: seconds that the step may take on one node.
    """

    deployment_id: str
    owner: str
    spec: OperationSpec
    nodes: Mapping[str, NodeSnapshot]
    profiles: Mapping[str, ProfileSnapshot]
    facts: Mapping[str, NodeFacts]
    known: Mapping[str, NodeKnowledge]
    ports: StepPorts
    recorder: Recorder
    windows: RebootWindows
    at_once: asyncio.Semaphore
    rights: UserRights
    command: CommandChannel | None
    deployment_host_keys: tuple[str, ...]
    timeout: float = field(default=600.0)

    def profile(self, node: str) -> ProfileSnapshot:
        """Returns the profile of a node's cluster."""
        return self.profiles[self.nodes[node].cluster]

    def bounded_by(self, timeout: float) -> "OperationContext":
        """Returns the context for a step that may take so many seconds."""
        return replace(self, timeout=timeout)

    def window(self, node: str) -> Turns:
        """Returns what says when a node may reboot."""
        return self.windows.of(self.nodes[node].cluster, self.profile(node))

    def any_host_keys(self, node: str) -> tuple[str, ...]:
        """Returns the host keys of all that may run on a node and that we know."""
        return (*self.known[node].all_host_keys, *self.deployment_host_keys)


class OperationStep(NodeStep[OperationContext], Protocol):
    """One step of an operation."""

    partition_state: OperationNodeState


@contextmanager
def failures_of_node() -> Iterator[None]:
    """Turns what ports and rights raise into StepFailed, each with its reason; what concerns all nodes is raised on."""
    try:
        yield
    except StoreFailed:
        raise
    except tuple(_REASONS) as error:
        reason = next(reason for kind, reason in _REASONS.items() if isinstance(error, kind))
        raise StepFailed(reason, str(error), retriable=False) from error
