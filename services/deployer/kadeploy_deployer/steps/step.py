"""What a step is, and what it is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Outcome
from kadeploy_deployer.domain.snapshot import (
    DeploymentSpec,
    EnvironmentSnapshot,
    NodeSnapshot,
    ProfileSnapshot,
)
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.ports import BootTarget
from kadeploy_deployer.ports.recorder import Recorder
from kadeploy_deployer.ports.step_ports import StepPorts


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """All that a step knows of its deployment. `nodes`, `facts` and `profiles` hold every node that is still in it.

    `owner`: the user for whom it is done. `deployment_host_keys`: public keys of the deployment environment's sshd.
    `cluster_public_key`: the deployer's own key, which is put into the new system so that the last check and later
    commands can log in.
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
    deployment_host_keys: tuple[str, ...]
    cluster_public_key: str
    timeout: float = field(default=600.0)

    def profile(self, node: str) -> ProfileSnapshot:
        """Returns the profile of a node's cluster."""
        return self.profiles[self.nodes[node].cluster]


@runtime_checkable
class WritesBootFiles(Protocol):
    """A step that says what nodes boot next."""

    async def boot_targets(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, BootTarget]:
        """Returns what it would have them boot. Touches nothing. Raises ImageError."""
        ...


class Step(Protocol):
    """One step: a module-level instance in each file of this package, listed in order in `plan.py`.

    Attributes:
        name: as in events and policies.
        partition_state: the state of the target partitions while nodes are in it.
        timeout: default bound in seconds for one run on the whole set. A step keeps it itself (`context.timeout`), so
            that it can give each node its own outcome; the runner cancels it a little later.
        timeout_reason: why nodes failed that have no outcome when the runner had to cancel the step.
        retries: how often it is run again for the nodes that failed it.
    """

    name: str
    partition_state: PartitionState
    timeout: float
    timeout_reason: FailureReason
    retries: int

    def applies(self, context: StepContext) -> bool:
        """Returns whether the deployment needs this step at all."""
        ...

    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        """Returns sentences on what the step would do to a node: the plan. Touches nothing."""
        ...

    async def run(self, context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
        """Does the step for the given nodes and returns one outcome for each. Never raises for one node's sake."""
        ...
