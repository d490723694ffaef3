"""What a step is, and what it is given."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol, Self, TypeVar, runtime_checkable

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import (
    DeploymentSpec,
    EnvironmentSnapshot,
    FileSnapshot,
    NodeSnapshot,
    ProfileSnapshot,
)
from kadeploy_deployer.domain.states import FailureReason, NodeState, PartitionState
from kadeploy_deployer.nodes.reboot_window import RebootWindows, Turns
from kadeploy_deployer.ports import BootTarget, BroadcastSession
from kadeploy_deployer.ports.recorder import Recorder
from kadeploy_deployer.ports.step_ports import StepPorts


class ArchiveReader(Protocol):
    """Reads archives for the nodes of one deployment."""

    def read(self, file: FileSnapshot, *, user: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Opens a file and gives its content, in parts.

        Args:
            file: which.
            user: for whom, so that each has their share.

        Raises:
            ImageError: on entry.
            DigestDiffers: in place of the last part, if the file is not the registered one any more.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """All that a step knows of its deployment.

    Attributes:
        deployment_id: its id.
        owner: the user for whom it is done.
        spec: what was asked for.
        environment: what is deployed.
        nodes: every node that takes part.
        profiles: by cluster.
        facts: what is known of each node up to now.
        ports: the world.
        recorder: where outputs and remarks go.
        windows: limits how many nodes of a cluster reboot at a time.
        image: the broadcast of the environment's image, shared by all nodes of the deployment.
        archives: opens each archive once, for all nodes.
        deployment_host_keys: public keys of the deployment environment's sshd.
        cluster_public_key: the deployer's own key, which is put into the new system so that the last check and later
            commands can log in.
        timeout: seconds that the step may take on one node.
    """

    deployment_id: str
    owner: str
    spec: DeploymentSpec
    environment: EnvironmentSnapshot
    nodes: Mapping[str, NodeSnapshot]
    profiles: Mapping[str, ProfileSnapshot]
    facts: Mapping[str, NodeFacts]
    ports: StepPorts
    recorder: Recorder
    windows: RebootWindows
    image: BroadcastSession
    archives: ArchiveReader
    deployment_host_keys: tuple[str, ...]
    cluster_public_key: str
    timeout: float = field(default=600.0)

    def profile(self, node: str) -> ProfileSnapshot:
        """Returns the profile of a node's cluster."""
        return self.profiles[self.nodes[node].cluster]

    def bounded_by(self, timeout: float) -> "StepContext":
        """Returns the context for a step that may take so many seconds."""
        return replace(self, timeout=timeout)

    def window(self, node: str) -> Turns:
        """Returns what says when a node may reboot."""
        return self.windows.of(self.nodes[node].cluster, self.profile(node))


@runtime_checkable
class WritesBootFiles(Protocol):
    """A step that says what nodes boot next."""

    async def boot_target(self, context: StepContext, node: str) -> BootTarget | None:
        """Returns what it would have a node boot; None: as before. Touches nothing. Raises ImageError."""
        ...


class WalkContext(Protocol):
    """What the engine wants of the context of a step, whatever is done to the nodes."""

    @property
    def deployment_id(self) -> str:
        """The id of the deployment or operation."""

    @property
    def facts(self) -> Mapping[str, NodeFacts]:
        """What is known of each node up to now."""

    @property
    def ports(self) -> StepPorts:
        """The world."""

    @property
    def timeout(self) -> float:
        """Seconds that the step may take on one node."""

    def profile(self, node: str) -> ProfileSnapshot:
        """Returns the profile of a node's cluster."""

    def bounded_by(self, timeout: float) -> Self:
        """Returns the context for a step that may take so many seconds."""


_Context_contra = TypeVar("_Context_contra", contravariant=True)


class NodeStep(Protocol[_Context_contra]):
    """What the engine walks: one step of a deployment or of another operation, for one node.

    Attributes:
        name: as in events and policies.
        partition_state: the state of the node while it is in the step; in a deployment that of its target partition.
        timeout: default bound in seconds of one attempt on one node. Waiting for a reboot window does not count.
        failure_reason: why a node failed where no other reason is given: a port's error, NodeFailed, the timeout.
        retries: how often it is run again for a node that failed it.
    """

    name: str
    timeout: float
    failure_reason: FailureReason
    retries: int

    @property
    def partition_state(self) -> NodeState:
        """See above."""
        ...

    def applies(self, context: _Context_contra, node: str) -> bool:
        """Returns whether a node needs this step at all."""
        ...

    async def run(self, context: _Context_contra, node: str) -> NodeFacts:
        """Does the step for one node and returns what is known of it then.

        Run again after a crash at any point it ends the same; it never changes a state.

        Raises:
            StepFailed: with a reason of its own.
            NodeFailed, ShellError, PowerError, BootError: it failed with `failure_reason`, and may be tried again.
            ImageError: it failed with `failure_reason`; trying again cannot help.
        """
        ...


class Step(NodeStep[StepContext], Protocol):
    """One step of a deployment: a module-level instance in each file of this package, listed in order in `plan.py`."""

    partition_state: PartitionState

    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        """Returns sentences on what the step would do to a node: the plan. Touches nothing."""
        ...
