"""A deployment in the middle of its work, made by the same events that a deployer sends."""

from collections.abc import Iterator
from typing import Any

from kadeploy.deployer.v1 import deployment_event_pb2, deployment_pb2
from kadeploy_cli.deployments.watching.progress import DeploymentProgress
from kadeploy_cli.deployments.watching.steps import COPY, STEPS

START = 1_700_000_000
MEBIBYTE = 1 << 20
IMAGE = 1200 * MEBIBYTE
MEDIANS = dict.fromkeys(STEPS, 4.0) | {STEPS[0]: 95.0, COPY: 60.0, STEPS[-1]: 80.0}


def made(count: int) -> deployment_pb2.Deployment:
    """Returns a deployment of so many nodes of which none has begun."""
    deployment = deployment_pb2.Deployment(id="D-20231114-1", state=deployment_pb2.DEPLOYMENT_STATE_DEPLOYING)
    deployment.create_time.FromSeconds(START)
    deployment.spec.nodes = f"node-[1-{count}]"
    for number in range(1, count + 1):
        deployment.nodes.add(node=f"node-{number}", state=deployment_pb2.PARTITION_STATE_TO_DEPLOY)
    return deployment


class Events:
    """Makes events with sequences and times, and feeds them to a progress."""

    def __init__(self, progress: DeploymentProgress) -> None:
        self.progress = progress
        self.sequence = 0

    def send(self, seconds: float, node: str = "", **kind: Any) -> deployment_event_pb2.DeploymentEvent:
        """Feeds one event that happens so many seconds after the creation, and returns it."""
        # As the deployer does: progress has the sequence of the last event.
        self.sequence += "step_progressed" not in kind
        event = deployment_event_pb2.DeploymentEvent(sequence=self.sequence, node=node, **kind)
        event.time.FromNanoseconds(int((START + seconds) * 1e9))
        self.progress.take_event(event, seconds)
        return event

    def start(self, seconds: float, node: str, step: str) -> deployment_event_pb2.DeploymentEvent:
        """A node enters a step."""
        return self.send(seconds, node, step_started=deployment_event_pb2.StepStarted(step=step, attempt=1))

    def end(self, seconds: float, node: str, step: str) -> deployment_event_pb2.DeploymentEvent:
        """A node has done a step."""
        return self.send(seconds, node, step_ended=deployment_event_pb2.StepEnded(step=step, succeeded=True))

    def copy(self, seconds: float, node: str, done: int) -> deployment_event_pb2.DeploymentEvent:
        """A node has received so many bytes."""
        progressed = deployment_event_pb2.StepProgressed(step=COPY, done=done, total=IMAGE)
        return self.send(seconds, node, step_progressed=progressed)

    def state(
        self, seconds: float, node: str, state: Any, reason: Any = 0, text: str = ""
    ) -> deployment_event_pb2.DeploymentEvent:
        """The target partition of a node changes its state."""
        changed = deployment_event_pb2.PartitionStateChanged(state=state, reason=reason, description=text)
        return self.send(seconds, node, partition_state_changed=changed)


def in_the_middle(count: int) -> DeploymentProgress:
    """Returns a deployment 150 s after its creation: nodes in four steps, some failed in two ways, some deployed."""
    progress = DeploymentProgress(made(count), 0.0)
    events = Events(progress)
    names = [f"node-{number}" for number in range(1, count + 1)]
    for name in names:
        events.start(1, name, STEPS[0])
    for place, name in enumerate(names):
        if count > 2 and place % 50 == 6:
            text = f"not there on first check: seen last: {name} does not answer; tried: hard reboot (waited 90 s)"
            text += f" (step {STEPS[0]})"
            events.state(100 + place / count, name, deployment_pb2.PARTITION_STATE_ERROR, 6, text)
        elif count > 2 and place % 97 == 18:
            text = f"partitioning failed: {name} has no /dev/sda (step partition)"
            events.state(110, name, deployment_pb2.PARTITION_STATE_ERROR, 8, text)
        elif place % 5 != 4:
            events.state(105, name, deployment_pb2.PARTITION_STATE_DEPLOYING)
            events.start(120, name, COPY)
            for second in range(121, 151, 3):
                events.copy(second, name, (second - 120) * (18 + place % 3) * MEBIBYTE)
        if place % 10 == 0:
            events.state(140, name, deployment_pb2.PARTITION_STATE_REBOOTING)
            events.start(140, name, STEPS[-1])
        if place % 20 == 10:
            events.state(149, name, deployment_pb2.PARTITION_STATE_DEPLOYED)
    return progress


def good_run(progress: DeploymentProgress) -> Iterator[deployment_event_pb2.DeploymentEvent]:
    """Gives the events of a deployment in which all goes well, each fed to the progress; nodes have their own pace."""
    events = Events(progress)
    names = list(progress.nodes)
    seconds = 0.0
    for step in STEPS:
        seconds += 2
        for place, name in enumerate(names):
            yield events.start(seconds + place / 1000, name, step)
        if step == COPY:
            for part in range(1, 21):
                for name in names:
                    yield events.copy(seconds + part, name, IMAGE * part // 20)
            seconds += 20
        took = 1.6
        for place, name in enumerate(names):
            slow = 0.8 if place == 16 else 0.0
            yield events.end(seconds + place / 1000 + took + slow, name, step)
        seconds += took + 1
    for name in names:
        yield events.state(seconds, name, deployment_pb2.PARTITION_STATE_DEPLOYED)
    ended = deployment_event_pb2.DeploymentStateChanged(state=deployment_pb2.DEPLOYMENT_STATE_TERMINATED)
    yield events.send(seconds + 1, deployment_state_changed=ended)
