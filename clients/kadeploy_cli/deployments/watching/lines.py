"""Progress of a few nodes as plain lines on stderr, one for all that happens: for logs and pipes."""

from kadeploy.deployer.v1 import deployment_event_pb2
from kadeploy_cli.deployments.watching.progress import DeploymentProgress
from kadeploy_cli.deployments.watching.steps import step_words
from kadeploy_cli.terminal import output

QUARTERS = 4


class LineView:
    """Prints a line for everything that happens; of a long copy every quarter."""

    def __init__(self) -> None:
        self._started: dict[tuple[str, str], float] = {}
        self._quarters: dict[tuple[str, str], int] = {}
        # The last description of each node, so that the same is not said twice.
        self._described: dict[str, str] = {}

    def snapshot(self, progress: DeploymentProgress) -> None:
        """Prints the nodes that are on their way already."""
        for view in progress.nodes.values():
            if view.step and not view.settled:
                output.say(f"         -  {view.name}: {view.state_word}, {step_words(view.step)}")
            elif view.description:
                output.say(f"         -  {view.name}: {_with(view.state_word, view.description)}")
                self._described[view.name] = view.description

    def event(self, progress: DeploymentProgress, event: deployment_event_pb2.DeploymentEvent) -> None:
        """Prints what happened."""
        text = self._text(progress, event)
        if text:
            subject = event.node or progress.words.noun
            output.say(f"{progress.seconds(event):7.1f} s  {subject}: {text}")

    def tick(self, progress: DeploymentProgress) -> None:
        """Prints nothing: time passes by itself."""

    def say(self, text: str) -> None:
        """Prints a sentence."""
        output.say(text)

    def pause(self) -> None:
        """Does nothing: lines are always out of the way."""

    def close(self) -> None:
        """Does nothing: lines stay where they are."""

    def _text(self, progress: DeploymentProgress, event: deployment_event_pb2.DeploymentEvent) -> str:
        kind = event.WhichOneof("kind")
        if kind == "deployment_state_changed":
            changed = event.deployment_state_changed
            return _with(progress.words.of_whole(changed.state), changed.description)
        if kind == "partition_state_changed":
            partition = event.partition_state_changed
            state = progress.words.of_node(partition.state)
            return _with(state, self._news(event.node, partition.description))
        if kind == "remark":
            return event.remark.text
        return self._step_text(progress, event, kind or "")

    def _step_text(self, progress: DeploymentProgress, event: deployment_event_pb2.DeploymentEvent, kind: str) -> str:
        seconds = progress.seconds(event)
        if kind == "step_started":
            started = event.step_started
            self._started[event.node, started.step] = seconds
            again = f" (attempt {started.attempt})" if started.attempt > 1 else ""
            return f"{step_words(started.step)} ...{again}"
        if kind == "step_ended":
            ended = event.step_ended
            begun = self._started.pop((event.node, ended.step), None)
            self._quarters.pop((event.node, ended.step), None)
            took = f" in {seconds - begun:.1f} s" if begun is not None else ""
            verdict = "done" if ended.succeeded else "failed"
            return _with(f"{step_words(ended.step)} {verdict}{took}", self._news(event.node, ended.description))
        if kind == "step_progressed":
            return self._progress_text(event)
        return ""

    def _news(self, node: str, description: str) -> str:
        known = description and self._described.get(node) == description
        self._described[node] = description
        return "" if known else description

    def _progress_text(self, event: deployment_event_pb2.DeploymentEvent) -> str:
        progressed = event.step_progressed
        if progressed.total <= 0:
            return ""
        key, quarter = (event.node, progressed.step), min(QUARTERS, progressed.done * QUARTERS // progressed.total)
        if quarter <= self._quarters.get(key, 0):
            return ""
        self._quarters[key] = quarter
        return f"{step_words(progressed.step)} {quarter * 100 // QUARTERS} % of {output.size(progressed.total)}"


def _with(text: str, description: str) -> str:
    return f"{text}: {description}" if description else text
