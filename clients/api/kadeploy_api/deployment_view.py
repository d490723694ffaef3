"""What is true of a deployment now: a snapshot and the events after it, folded. Pure: no calls, no clock."""

from collections.abc import Set as AbstractSet

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_event_pb2, deployment_pb2

FINISHED = frozenset({deployment_pb2.DEPLOYMENT_STATE_TERMINATED, deployment_pb2.DEPLOYMENT_STATE_ERROR})
SETTLED = frozenset({deployment_pb2.PARTITION_STATE_DEPLOYED, deployment_pb2.PARTITION_STATE_ERROR})
NOTHING: frozenset[str] = frozenset()


class DeploymentView:
    """A deployment's present state, and the last sequence that was seen of it.

    Attributes:
        deployment: as the events left it.
        sequence: of the last event; 0 before the first snapshot.
        progress: by node, how much of the present step is done and in all, in the step's unit.
    """

    def __init__(self) -> None:
        self.deployment = deployment_pb2.Deployment()
        self.sequence = 0
        self.progress: dict[str, tuple[int, int]] = {}
        self._nodes: dict[str, deployment_pb2.NodeDeployment] = {}
        self._steps_began: dict[str, int] = {}

    @property
    def finished(self) -> bool:
        """True when the deployment has ended."""
        return self.deployment.state in FINISHED

    def node(self, name: str) -> deployment_pb2.NodeDeployment | None:
        """Returns a node's part in the deployment, None for a node that is not in it."""
        return self._nodes.get(name)

    def apply(self, response: deployer_service_pb2.WatchDeploymentResponse) -> AbstractSet[str]:
        """Takes one answer of a watch in. Returns the names of the nodes that it changed."""
        kind = response.WhichOneof("kind")
        if kind == "snapshot":
            return self._take_snapshot(response.snapshot)
        if kind != "event":
            return NOTHING
        # Progress is not stored: it carries the sequence of the stored event before it.
        is_progress = response.event.WhichOneof("kind") == "step_progressed"
        if response.event.sequence > self.sequence or (is_progress and response.event.sequence == self.sequence):
            return self._take_event(response.event)
        return NOTHING

    def _take_snapshot(self, snapshot: deployer_service_pb2.Snapshot) -> AbstractSet[str]:
        self.deployment = deployment_pb2.Deployment()
        self.deployment.CopyFrom(snapshot.deployment)
        self.sequence = snapshot.sequence
        self.progress = {}
        self._steps_began = {}
        self._nodes = {node.node: node for node in self.deployment.nodes}
        return frozenset(self._nodes)

    def _take_event(self, event: deployment_event_pb2.DeploymentEvent) -> AbstractSet[str]:
        self.sequence = event.sequence
        kind = event.WhichOneof("kind")
        if kind == "deployment_state_changed":
            self._change_state(event)
            return NOTHING
        node = self._nodes.get(event.node)
        if node is None:
            return NOTHING
        if kind == "partition_state_changed":
            node.state = event.partition_state_changed.state
            node.reason = event.partition_state_changed.reason
            node.description = event.partition_state_changed.description
            if node.state in SETTLED:
                node.end_time.CopyFrom(event.time)
                self.progress.pop(event.node, None)
        elif kind == "step_started":
            if not node.HasField("start_time"):
                node.start_time.CopyFrom(event.time)
            node.step, node.attempt = event.step_started.step, event.step_started.attempt
            self._steps_began[event.node] = event.time.ToNanoseconds()
            self.progress.pop(event.node, None)
        elif kind == "step_progressed":
            self._take_progress(node, event.step_progressed)
        elif kind == "step_ended":
            self._end_step(node, event)
        return frozenset({event.node})

    def _take_progress(
        self, node: deployment_pb2.NodeDeployment, progress: deployment_event_pb2.StepProgressed
    ) -> None:
        """Takes progress in, unless it comes after the end of its step."""
        has_ended = any(ended.step == progress.step for ended in node.step_durations)
        if node.state not in SETTLED and progress.step == node.step and not has_ended:
            self.progress[node.node] = (progress.done, progress.total)

    def _change_state(self, event: deployment_event_pb2.DeploymentEvent) -> None:
        changed = event.deployment_state_changed
        self.deployment.state, self.deployment.description = changed.state, changed.description
        if changed.state == deployment_pb2.DEPLOYMENT_STATE_DEPLOYING and not self.deployment.HasField("start_time"):
            self.deployment.start_time.CopyFrom(event.time)
        if self.finished:
            self.deployment.end_time.CopyFrom(event.time)

    def _end_step(self, node: deployment_pb2.NodeDeployment, event: deployment_event_pb2.DeploymentEvent) -> None:
        self.progress.pop(node.node, None)
        if not event.step_ended.succeeded:
            node.description = event.step_ended.description
            return
        if began := self._steps_began.pop(node.node, 0):
            ended = node.step_durations.add(step=event.step_ended.step)
            ended.duration.FromNanoseconds(max(0, event.time.ToNanoseconds() - began))
