"""What is true of a deployment now, folded from a snapshot and the events after it. Pure: no calls, no own clock."""

from dataclasses import dataclass

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_event_pb2, deployment_pb2
from kadeploy_cli.terminal.plain import word

FINISHED = frozenset({deployment_pb2.DEPLOYMENT_STATE_TERMINATED, deployment_pb2.DEPLOYMENT_STATE_ERROR})
SETTLED = frozenset({deployment_pb2.PARTITION_STATE_DEPLOYED, deployment_pb2.PARTITION_STATE_ERROR})


@dataclass(slots=True, kw_only=True)
class NodeView:
    """One node, as far as it is known."""

    name: str
    state: "deployment_pb2.PartitionState.ValueType" = deployment_pb2.PARTITION_STATE_TO_DEPLOY
    step: str = ""
    attempt: int = 0
    # In the unit of the step; total 0 means that nothing was told.
    done: int = 0
    total: int = 0
    # When the step began, on the clock of whoever feeds the progress.
    since: float = 0.0
    description: str = ""

    @property
    def state_word(self) -> str:
        """The state as people say it."""
        return word(deployment_pb2.PartitionState.DESCRIPTOR, self.state)

    @property
    def settled(self) -> bool:
        """True when nothing more happens to the node."""
        return self.state in SETTLED


class DeploymentProgress:
    """A deployment's present, and the last sequence that was seen of it."""

    def __init__(self, deployment: deployment_pb2.Deployment, now: float) -> None:
        self.deployment = deployment
        self.sequence = 0
        self.nodes: dict[str, NodeView] = {}
        self._replace(deployment, now)

    @property
    def finished(self) -> bool:
        """True when the deployment has ended."""
        return self.deployment.state in FINISHED

    @property
    def state_word(self) -> str:
        """The deployment's state as people say it."""
        return word(deployment_pb2.DeploymentState.DESCRIPTOR, self.deployment.state)

    def seconds(self, event: deployment_event_pb2.DeploymentEvent) -> float:
        """Returns how long after the deployment's creation an event happened, by the deployer's clock."""
        created = self.deployment.create_time.ToNanoseconds()
        return max(0.0, (event.time.ToNanoseconds() - created) / 1e9) if created else 0.0

    def take_snapshot(self, snapshot: deployer_service_pb2.Snapshot, now: float) -> None:
        """Forgets what was known and takes the snapshot instead."""
        self.sequence = snapshot.sequence
        self._replace(snapshot.deployment, now)

    def take_event(self, event: deployment_event_pb2.DeploymentEvent, now: float) -> bool:
        """Takes one event in; False when it was seen before."""
        if event.sequence <= self.sequence:
            return False
        self.sequence = event.sequence
        kind = event.WhichOneof("kind")
        if kind == "deployment_state_changed":
            self.deployment.state = event.deployment_state_changed.state
            self.deployment.description = event.deployment_state_changed.description
        elif event.node:
            self._take_node_event(event, kind or "", now)
        return True

    def counts(self) -> dict[str, int]:
        """Returns how many nodes are in each state, by the state's word."""
        counted: dict[str, int] = {}
        for view in self.nodes.values():
            counted[view.state_word] = counted.get(view.state_word, 0) + 1
        return counted

    def _replace(self, deployment: deployment_pb2.Deployment, now: float) -> None:
        self.deployment = deployment_pb2.Deployment()
        self.deployment.CopyFrom(deployment)
        self.nodes = {
            node.node: NodeView(
                name=node.node,
                state=node.state,
                step=node.step,
                attempt=node.attempt,
                since=now,
                description=node.description,
            )
            for node in deployment.nodes
        }

    def _take_node_event(self, event: deployment_event_pb2.DeploymentEvent, kind: str, now: float) -> None:
        view = self.nodes.setdefault(event.node, NodeView(name=event.node, since=now))
        if kind == "partition_state_changed":
            view.state = event.partition_state_changed.state
            view.description = event.partition_state_changed.description
        elif kind == "step_started":
            view.step, view.attempt = event.step_started.step, event.step_started.attempt
            view.done = view.total = 0
            view.since = now
        elif kind == "step_progressed":
            view.step = event.step_progressed.step
            view.done, view.total = event.step_progressed.done, event.step_progressed.total
        elif kind == "step_ended":
            view.done = view.total = 0
            if not event.step_ended.succeeded:
                view.description = event.step_ended.description
