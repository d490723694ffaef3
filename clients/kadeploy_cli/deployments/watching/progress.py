"""What is true of a deployment now, computed from a snapshot and the events after it. Pure: no calls, no own clock.

Times are seconds since the deployment's creation by the deployer's clock. Callers pass seconds of a clock of their own
that never goes back; what messages say of the deployer's clock tells the difference.
"""

from collections import deque
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_event_pb2, deployment_pb2
from kadeploy_cli.deployments.watching.steps import COPY
from kadeploy_cli.deployments.watching.words import DEPLOYMENT_WORDS, Words

FINISHED = frozenset({deployment_pb2.DEPLOYMENT_STATE_TERMINATED, deployment_pb2.DEPLOYMENT_STATE_ERROR})
SETTLED = frozenset({deployment_pb2.PARTITION_STATE_DEPLOYED, deployment_pb2.PARTITION_STATE_ERROR})
RATE_SECONDS = 10.0
"""The interval over which the rate of the copy is a mean."""
NANOSECONDS = 1e9


@dataclass(slots=True, kw_only=True)
class NodeView:
    """One node, as far as it is known.

    Attributes:
        done: how far its step is, in the step's unit.
        total: of how much; 0 if the step does not say.
        since: when its step began, or when it ended.
    """

    name: str
    state: "deployment_pb2.PartitionState.ValueType" = deployment_pb2.PARTITION_STATE_TO_DEPLOY
    step: str = ""
    attempt: int = 0
    done: int = 0
    total: int = 0
    since: float = 0.0
    reason: "deployment_pb2.FailureReason.ValueType" = deployment_pb2.FAILURE_REASON_UNSPECIFIED
    description: str = ""
    words: Words = DEPLOYMENT_WORDS

    @property
    def state_word(self) -> str:
        """The state as people say it."""
        return self.words.of_node(self.state)

    @property
    def settled(self) -> bool:
        """True when nothing more happens to the node."""
        return self.state in SETTLED

    @property
    def failed(self) -> bool:
        """True when the node has failed or was left out."""
        return self.state == deployment_pb2.PARTITION_STATE_ERROR


class DeploymentProgress:
    """A deployment's present, and the last sequence that was seen of it.

    Args:
        deployment: as it was when the watch begins.
        now: seconds of the caller's clock.
        epoch: seconds since 1970 at the same moment, by the caller's host; None: the deployment has just been created.
        words: how people name it and its states.
    """

    def __init__(
        self,
        deployment: deployment_pb2.Deployment,
        now: float,
        *,
        epoch: float | None = None,
        words: Words = DEPLOYMENT_WORDS,
    ) -> None:
        self.words = words
        self.deployment = deployment
        self.sequence = 0
        self.nodes: dict[str, NodeView] = {}
        # What to add to the caller's clock; a guess by the clock of this host until the deployer has said a time.
        created = deployment.create_time.ToNanoseconds() / NANOSECONDS
        self._offset = (epoch - created if epoch is not None and created else 0.0) - now
        self._offset_known = False
        self._copied = 0
        self._samples: deque[tuple[float, int]] = deque()
        self._replace(deployment)

    @property
    def finished(self) -> bool:
        """True when the deployment has ended."""
        return self.deployment.state in FINISHED

    @property
    def state_word(self) -> str:
        """The deployment's state as people say it."""
        return self.words.of_whole(self.deployment.state)

    def seconds(self, event: deployment_event_pb2.DeploymentEvent) -> float:
        """Returns how long after the deployment's creation an event happened."""
        return self._since_creation(event.time)

    def elapsed(self, now: float) -> float:
        """Returns how long ago the deployment was created; of one that has ended, how long it took."""
        if self.deployment.HasField("end_time"):
            return self._since_creation(self.deployment.end_time)
        return max(0.0, now + self._offset)

    def spent(self, view: NodeView, now: float) -> float:
        """Returns how long a node has been in its step."""
        return max(0.0, self.elapsed(now) - view.since)

    def rate(self, now: float) -> float:
        """Returns the bytes per second that all nodes together have received lately."""
        begin = self.elapsed(now) - RATE_SECONDS
        while len(self._samples) > 1 and self._samples[1][0] <= begin:
            self._samples.popleft()
        if not self._samples or self._samples[-1][0] < begin:
            return 0.0
        seconds = self.elapsed(now) - self._samples[0][0]
        return (self._copied - self._samples[0][1]) / seconds if seconds > 0 else 0.0

    def hear(self, time: Timestamp, now: float) -> None:
        """Takes note that it was this time for the deployer a moment ago."""
        created, sent = self.deployment.create_time.ToNanoseconds(), time.ToNanoseconds()
        if not created or not sent:
            return
        offset = (sent - created) / NANOSECONDS - now
        # A message may have waited on its way, so it is later than the message says, and never earlier.
        self._offset = max(self._offset, offset) if self._offset_known else offset
        self._offset_known = True

    def take_snapshot(self, snapshot: deployer_service_pb2.Snapshot) -> None:
        """Replaces what was known by the snapshot."""
        self.sequence = snapshot.sequence
        self._replace(snapshot.deployment)

    def take_event(self, event: deployment_event_pb2.DeploymentEvent, now: float) -> bool:
        """Takes one event in; returns False when it was seen before, or is about a step that the node has left."""
        kind = event.WhichOneof("kind") or ""
        # How far a step is has no sequence of its own: it comes with that of the last event.
        is_news = event.sequence > self.sequence or (event.sequence == self.sequence and self._is_further(event))
        if not is_news:
            return False
        self.sequence = event.sequence
        self.hear(event.time, now)
        if kind == "deployment_state_changed":
            self.deployment.state = event.deployment_state_changed.state
            self.deployment.description = event.deployment_state_changed.description
            if self.finished:
                self.deployment.end_time.CopyFrom(event.time)
        elif event.node:
            self._take_node_event(event, kind)
        return True

    def counts(self) -> dict[str, int]:
        """Returns how many nodes are in each state, by the state's word, in the order of the states."""
        counted: dict[int, int] = {}
        for view in self.nodes.values():
            counted[view.state] = counted.get(view.state, 0) + 1
        return {self.words.of_node(state): count for state, count in sorted(counted.items())}

    def _since_creation(self, time: Timestamp) -> float:
        created = self.deployment.create_time.ToNanoseconds()
        return max(0.0, (time.ToNanoseconds() - created) / NANOSECONDS) if created else 0.0

    def _replace(self, deployment: deployment_pb2.Deployment) -> None:
        self.deployment = deployment_pb2.Deployment()
        self.deployment.CopyFrom(deployment)
        self.nodes = {node.node: self._view(node) for node in deployment.nodes}

    def _view(self, node: deployment_pb2.NodeDeployment) -> NodeView:
        view = NodeView(
            name=node.node,
            state=node.state,
            step=node.step,
            attempt=node.attempt,
            reason=node.reason,
            description=node.description,
            words=self.words,
        )
        if node.HasField("end_time"):
            view.since = self._since_creation(node.end_time)
        elif node.HasField("start_time"):
            # The step began when the steps before it had ended.
            spent = sum(step.duration.ToNanoseconds() for step in node.step_durations) / NANOSECONDS
            view.since = self._since_creation(node.start_time) + spent
        return view

    def _take_node_event(self, event: deployment_event_pb2.DeploymentEvent, kind: str) -> None:
        seconds = self.seconds(event)
        view = self.nodes.setdefault(event.node, NodeView(name=event.node, since=seconds, words=self.words))
        if kind == "partition_state_changed":
            changed = event.partition_state_changed
            view.state, view.reason, view.description = changed.state, changed.reason, changed.description
            if view.settled:
                view.since = seconds
        elif kind == "step_started":
            view.step, view.attempt = event.step_started.step, event.step_started.attempt
            view.done = view.total = 0
            view.since = seconds
        elif kind == "step_progressed":
            self._take_copied(view, event.step_progressed, seconds)
        elif kind == "step_ended":
            view.done = view.total = 0
            if not event.step_ended.succeeded:
                view.description = event.step_ended.description

    def _is_further(self, event: deployment_event_pb2.DeploymentEvent) -> bool:
        """Returns whether an event says that a node is further in its step than was known."""
        progressed, view = event.step_progressed, self.nodes.get(event.node)
        return (
            event.WhichOneof("kind") == "step_progressed"
            and view is not None
            and view.step == progressed.step
            and progressed.done > view.done
        )

    def _take_copied(self, view: NodeView, progressed: deployment_event_pb2.StepProgressed, seconds: float) -> None:
        if progressed.step == COPY:
            if not self._samples or seconds > self._samples[-1][0]:
                self._samples.append((seconds, self._copied))
            # After a new attempt it counts from 0 again.
            self._copied += max(0, progressed.done - (view.done if view.step == COPY else 0))
        view.step, view.done, view.total = progressed.step, progressed.done, progressed.total
