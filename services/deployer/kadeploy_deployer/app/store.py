"""What the use cases want of the database. `store/` implements it; each method is one durable transaction.

Methods that take a `Lease` raise LeaseLost, and change nothing, when it is not the present one or the deployment is
finished.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kadeploy_deployer.domain.deployment import Deployment, Lease
from kadeploy_deployer.domain.events import Event
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger, PartitionTrigger
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import (
    DeploymentSpec,
    EnvironmentSnapshot,
    NodeSnapshot,
    ProfileSnapshot,
)
from kadeploy_deployer.domain.states import DeploymentState, PartitionState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNode:
    """A node of a deployment that is to be. `left_out`: why it takes no part; such a node may have no snapshot."""

    name: str
    facts: NodeFacts
    snapshot: NodeSnapshot | None = None
    left_out: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeployment:
    """A deployment that is to be. `wait_until`: when it stops waiting for busy nodes; in the past: it never waits."""

    id: str
    owner: str
    request_id: str
    spec: DeploymentSpec
    environment: EnvironmentSnapshot
    profiles: Mapping[str, ProfileSnapshot]
    nodes: tuple[NewNode, ...]
    driver: str
    lease_expires_at: float
    wait_until: float
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What became of a creation. `lease` is None when the request had been made before: nothing was done again."""

    deployment_id: str
    lease: Lease | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunData:
    """All that the runner needs of a deployment."""

    deployment: Deployment
    snapshots: Mapping[str, NodeSnapshot]
    profiles: Mapping[str, ProfileSnapshot]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsNote:
    """The facts of a node, as they are now."""

    node: str
    facts: NodeFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputNote:
    """What a step printed on a node, to be appended."""

    node: str
    step: str
    attempt: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemarkNote:
    """A sentence about a node, or about the deployment."""

    node: str
    text: str


Note = FactsNote | OutputNote | RemarkNote


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
    """A node that was once deployed. `held_by` is empty when it is free."""

    node: str
    held_by: str
    held_by_user: str
    lock_time: float | None
    last_deployment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the story of a deployment is. `first_sequence`: of the oldest event that is kept."""

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


class DeploymentStore(Protocol):
    """Everything durable."""

    # --- creating and acquiring ---

    async def find_request(self, owner: str, request_id: str) -> str | None:
        """Returns the deployment that was made for a request, if there is one."""
        ...

    async def create(self, new: NewDeployment) -> Created:
        """Stores a deployment and, if its nodes are free, locks them: waiting and deploying in one go.

        Raises:
            AnotherDeploymentWaiting: the one place of a waiting deployment is taken.
            NodesBusy: with the policy "fail", or "wait" without time to wait.
            NoNodeLeft: with the policy "exclude", every node is busy.
        """
        ...

    async def acquire(self, lease: Lease, *, now: float) -> Mapping[str, str]:
        """Locks the nodes of a waiting deployment, or changes nothing and returns who holds them: node → deployment."""
        ...

    async def holders(self, nodes: Sequence[str]) -> Mapping[str, str]:
        """Returns which of the nodes are held, and by which deployment."""
        ...

    # --- running ---

    async def load(self, deployment_id: str) -> RunData:
        """Returns all that the runner needs. Raises DeploymentNotFound."""
        ...

    async def enter_step(
        self,
        lease: Lease,
        *,
        step: str,
        attempt: int,
        nodes: Mapping[str, PartitionState],
        state: PartitionState,
        now: float,
    ) -> None:
        """Journals that these nodes (with the states they are in) enter a step, which puts them in another state."""
        ...

    async def finish_attempt(
        self,
        lease: Lease,
        *,
        step: str,
        attempt: int,
        done: Sequence[str],
        failed: Mapping[str, Failure],
        again: Mapping[str, Failure],
        deployed: bool,
        now: float,
    ) -> None:
        """Journals how an attempt ended.

        Args:
            lease: the right to do so.
            step: which step.
            attempt: which attempt.
            done: nodes that did the step.
            failed: nodes that failed it for good; they leave the deployment.
            again: nodes that failed it and will try again.
            deployed: it was the last step: those done are deployed.
            now: the time.
        """
        ...

    async def record(self, lease: Lease, notes: Sequence[Note], *, now: float) -> None:
        """Stores what steps learned."""
        ...

    async def end(
        self,
        lease: Lease,
        *,
        trigger: DeploymentTrigger,
        description: str,
        failures: Mapping[str, Failure],
        node_trigger: PartitionTrigger = PartitionTrigger.FAIL,
        now: float,
    ) -> None:
        """Ends a deployment: these nodes fail, all are free again, nothing changes any more."""
        ...

    async def fail_nodes(
        self, lease: Lease, *, failures: Mapping[str, Failure], trigger: PartitionTrigger, now: float
    ) -> None:
        """Takes nodes out of the deployment outside of any step."""
        ...

    # --- leases ---

    async def claim(self, *, driver: str, now: float, lease_expires_at: float, most: int) -> Sequence[Lease]:
        """Takes over unfinished deployments whose lease has expired or was given back."""
        ...

    async def renew(self, leases: Sequence[Lease], *, lease_expires_at: float) -> frozenset[str]:
        """Renews leases and returns the deployments of those that are still held."""
        ...

    async def release(self, leases: Sequence[Lease]) -> None:
        """Gives leases back, so that any deployer may take over at once."""
        ...

    async def cancel_requests(self, deployment_ids: Sequence[str]) -> frozenset[str]:
        """Returns which of these deployments are to be cancelled."""
        ...

    async def request_cancel(self, deployment_id: str, *, reason: str, now: float) -> None:
        """Asks for the end of a deployment. Raises DeploymentNotFound, DeploymentFinished."""
        ...

    # --- reading ---

    async def get(self, deployment_id: str) -> Deployment:
        """Returns a deployment with its nodes. Raises DeploymentNotFound."""
        ...

    async def list_deployments(
        self, wanted: DeploymentFilter, *, after: tuple[float, str] | None, limit: int
    ) -> Sequence[Deployment]:
        """Returns deployments without nodes, the latest first, beginning after (create time, id)."""
        ...

    async def position(self, deployment_id: str) -> Position:
        """Returns where the story is. Raises DeploymentNotFound."""
        ...

    async def events(self, deployment_id: str, *, after: int, limit: int) -> Sequence[Event]:
        """Returns stored events in order, beginning after a sequence."""
        ...

    async def outputs(self, deployment_id: str, node: str, step: str) -> Sequence[StoredOutput]:
        """Returns what steps printed on a node; of all steps when `step` is empty."""
        ...

    async def list_partitions(
        self, nodes: Sequence[str], *, after: tuple[str, str, int] | None, limit: int
    ) -> Sequence[PartitionStatus]:
        """Returns partition states by node, device, number, of all nodes when none is named."""
        ...

    async def list_nodes(self, nodes: Sequence[str], *, after: str | None, limit: int) -> Sequence[NodeStatus]:
        """Returns node states by name, of all that were ever deployed when none is named."""
        ...

    async def statistics(self, interval: Interval, nodes: Sequence[str]) -> Statistics:
        """Returns what was counted of the deployments created in an interval, on all nodes when none is named."""
        ...
