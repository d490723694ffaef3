"""The events of a deployment or operation, in order. Watchers read them; nothing is derived from them."""

from dataclasses import dataclass

from kadeploy_deployer.domain.states import DeploymentState, FailureReason, OperationNodeState, PartitionState


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStateChanged:
    """The deployment is in another state."""

    state: DeploymentState
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStateChanged:
    """The target partition of a node is in another state."""

    state: PartitionState | None
    reason: FailureReason | None = None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStateChanged:
    """A node of an operation is in another state. `state` None: it was left out."""

    state: OperationNodeState | None
    reason: FailureReason | None = None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A node enters a step. Attempts count from 1."""

    step: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgressed:
    """How far a node is in its step; not kept."""

    step: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """A node's attempt at a step is over."""

    step: str
    succeeded: bool
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A sentence for people."""

    text: str


EventKind = (
    DeploymentStateChanged
    | PartitionStateChanged
    | NodeStateChanged
    | StepStarted
    | StepProgressed
    | StepEnded
    | Remark
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `node` is empty when it is about the whole deployment.

    Sequences grow by one within a deployment. Progress is not kept and carries the sequence of the event before it.
    """

    sequence: int
    time: float
    node: str
    kind: EventKind
