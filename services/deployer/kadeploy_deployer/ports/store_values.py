"""What goes into the store and comes out of it, besides the values of the domain."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger, PartitionTrigger
from kadeploy_deployer.domain.operation import AnyOperation, OperationSpec
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot, NodeSnapshot, ProfileSnapshot
from kadeploy_deployer.domain.states import DeploymentState, OperationKind, PartitionState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNode:
    """A node of a deployment that is to be. `left_out`: why it takes no part; such a node may have no snapshot."""

    name: str
    snapshot: NodeSnapshot | None = None
    left_out: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeployment:
    """A deployment or operation that is to be.

    Attributes:
        spec: what was asked for.
        environment: what is deployed; None: nothing is.
        secret: what the tokens of its nodes are made of.
        lease_seconds: how long its driver's lease lasts from each renewal on.
        ticket: its place in the queue, 0 when it has none yet.
        fingerprint: of all that the request asks for.
        needs_right: whether its owner must have the right on its targets until its end.
        wait_seconds: for how many more seconds it waits, for its turn and then for busy nodes; 0: it never waits.
    """

    id: str
    owner: str
    request_id: str
    fingerprint: str
    needs_right: bool
    spec: DeploymentSpec | OperationSpec
    environment: EnvironmentSnapshot | None
    profiles: Mapping[str, ProfileSnapshot]
    nodes: tuple[NewNode, ...]
    secret: str
    driver: str
    lease_seconds: float
    wait_seconds: float
    now: float
    ticket: int = 0

    @property
    def kind(self) -> OperationKind:
        """What it is."""
        return self.spec.kind if isinstance(self.spec, OperationSpec) else OperationKind.DEPLOYMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDeployment:
    """What a request was answered with before. `fingerprint` None: an earlier release made it, and compared none."""

    deployment_id: str
    fingerprint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What became of a creation, and the deployment as it stood then.

    `lease` and `deployment` are None when the request had been made before: nothing was done again.
    """

    deployment_id: str
    lease: Lease | None
    deployment: AnyOperation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """It is not the turn of a creation. `ticket`: its place in the queue; the lowest one is the next."""

    ticket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunData:
    """All that the runner needs of a deployment or operation. `locked`: the nodes that it still holds."""

    operation: AnyOperation
    snapshots: Mapping[str, NodeSnapshot]
    profiles: Mapping[str, ProfileSnapshot]
    locked: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a deployment or operation ends.

    Attributes:
        trigger: what ends it.
        description: one sentence on it.
        failures: the nodes that fail with it.
        node_trigger: what happens to these.
    """

    trigger: DeploymentTrigger
    description: str
    failures: Mapping[str, Failure] = field(default_factory=dict)
    node_trigger: PartitionTrigger = PartitionTrigger.FAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOutput:
    """The end of what a step printed on a node. `truncated`: the beginning was dropped."""

    step: str
    attempt: int
    text: str
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStatus:
    """A partition that was once a target, and the deployment that wrote it last."""

    node: str
    device: str
    partition: int
    state: PartitionState
    deployment_id: str
    owner: str
    environment: EnvironmentSnapshot
    reason: str
    description: str
    update_time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """A node that was once deployed, or is held.

    `held_by` is empty when it is free; else `step` is what is being done to it, since `step_start_time`.
    """

    node: str
    held_by: str
    held_by_user: str
    lock_time: float | None
    last_deployment_id: str
    step: str = ""
    step_start_time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the events of a deployment are. `first_sequence`: of the oldest event that is kept, or of the next."""

    state: DeploymentState
    first_sequence: int
    last_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFilter:
    """Which deployments a list wants; empty: all."""

    owner: str = ""
    states: tuple[DeploymentState, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFilter:
    """Which operations a list wants; empty: all."""

    owner: str = ""
    states: tuple[DeploymentState, ...] = ()
    kinds: tuple[OperationKind, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """From `start` on, before `end`; None: without that bound."""

    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthCount:
    """The deployments of one month (UTC), and how many nodes took part in them."""

    year: int
    month: int
    deployments: int
    failed: int
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCount:
    """How often a node took part, and how often it failed."""

    node: str
    deployments: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCount:
    """How often a step was done on a node, how often it failed, and how long it took."""

    step: str
    count: int
    failures: int
    median_seconds: float
    most_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The history, counted."""

    months: tuple[MonthCount, ...]
    nodes: tuple[NodeCount, ...]
    steps: tuple[StepCount, ...]
