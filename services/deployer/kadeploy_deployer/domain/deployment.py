"""A deployment and its nodes, as they stand at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kadeploy_deployer.domain.facts import NO_FACTS, NodeFacts
from kadeploy_deployer.domain.lifecycle import FINISHED
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot
from kadeploy_deployer.domain.states import SUCCEEDED, DeploymentState, FailureReason, NodeState
from kadeploy_deployer.domain.transition import ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """How a step ended on a node, after all its attempts."""

    step: str
    seconds: float
    attempts: int
    succeeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDeployment:
    """One node's part in a deployment or operation.

    A node that was left out has no state, and a reason. `step` and `attempt` are its journal: what is being done to it,
    written before it is begun.
    """

    node: str
    state: NodeState | None
    device: str
    partition: int
    facts: NodeFacts = NO_FACTS
    step: str = ""
    attempt: int = 0
    step_start_time: float | None = None
    start_time: float | None = None
    end_time: float | None = None
    reason: FailureReason | None = None
    description: str = ""
    steps: tuple[StepRecord, ...] = ()

    @property
    def included(self) -> bool:
        """False when the node was left out, at the creation or while the deployment waited."""
        return self.state is not None

    @property
    def active(self) -> bool:
        """True while the node walks the plan."""
        return self.state is not None and self.state not in ENDED

    @property
    def succeeded(self) -> bool:
        """True when all was done to the node that was to be."""
        return self.state in SUCCEEDED

    def has_done(self, step: str) -> bool:
        """Returns whether the node did a step of the plan."""
        return any(record.step == step and record.succeeded for record in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeWork:
    """Something that is done to many nodes: what deployments and operations have in common.

    `version` grows with every change, `fence` with every driver. It may wait for its nodes for `wait_seconds`, of which
    `waited_seconds` are over. `needs_right`: whether its owner must have the right on its targets until its end.
    """

    id: str
    state: DeploymentState
    owner: str
    create_time: float
    start_time: float | None
    end_time: float | None
    description: str
    version: int
    driver: str
    fence: int
    cancel_requested: bool
    cancel_reason: str
    wait_seconds: float
    waited_seconds: float
    needs_right: bool
    last_sequence: int
    nodes: tuple[NodeDeployment, ...] = ()

    @property
    def finished(self) -> bool:
        """True when it never changes again."""
        return self.state in FINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(NodeWork):
    """One environment on one partition of many nodes."""

    spec: DeploymentSpec
    environment: EnvironmentSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to drive a deployment or operation. The fence grows with each owner; an old one opens nothing.

    `dead_drivers`: how many drivers have died since a node of the deployment last moved on.
    """

    deployment_id: str
    driver: str
    fence: int
    dead_drivers: int = field(default=0, compare=False)


def verdict(nodes: Sequence[NodeDeployment]) -> tuple[bool, str]:
    """Returns whether every node of a deployment was deployed, and one sentence on how it ended.

    Nodes that were left out (at the creation, or while it waited) are named, but are no failure of the deployment.
    """
    included = [node for node in nodes if node.included]
    failed = [node for node in included if not node.succeeded]
    left_out = [node for node in nodes if not node.included]
    text = f"{len(included) - len(failed)} of {len(included)} nodes deployed"
    if failed:
        text += f"; failed: {list_of(failed)}"
    if left_out:
        text += f"; left out: {list_of(left_out)}"
    return not failed, text


def list_of(nodes: Sequence[NodeDeployment], most: int = 10) -> str:
    """Returns how a sentence names nodes that failed, each with its reason."""
    words = [f"{node.node} ({(node.reason or FailureReason.INTERNAL).replace('_', ' ')})" for node in nodes[:most]]
    more = len(nodes) - most
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")
