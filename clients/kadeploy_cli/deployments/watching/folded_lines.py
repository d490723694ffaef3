"""Progress of many nodes as plain lines on stderr: one line for what happened to many, one for each failure.

What happens to nodes is collected and printed when no node can add to it any more, or when much time has passed. The
time between two such lines grows, so that a log of 300 nodes stays short.
"""

import time
from collections.abc import Callable
from statistics import median

from kadeploy.deployer.v1 import deployment_event_pb2, deployment_pb2
from kadeploy_cli.deployments.watching.progress import DeploymentProgress, NodeView
from kadeploy_cli.deployments.watching.steps import COPY, STEPS, step_number, step_words
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.plain import word
from kadeploy_nodeset import fold

QUARTERS = 4
FIRST_PATIENCE = 30.0
LONGEST_PATIENCE = 600.0
"""Seconds until what is collected is printed although nodes may add to it: the first time, and at most."""
REMARK_PATIENCE = 3.0
LOOK_PAUSE = 0.25
"""Looking at all nodes costs time that grows with their number, so it is not done for every event."""


class FoldedLineView:
    """Prints lines for groups of nodes. `clock`: seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[str, float] = {}
        # Seconds of each node, by step.
        self._ended: dict[str, dict[str, float]] = {}
        self._deployed: list[str] = []
        self._remarks: dict[str, list[str]] = {}
        self._remarks_since = 0.0
        self._quarter = 0
        self._patience = FIRST_PATIENCE
        self._printed = clock()
        self._looked = self._looked_at_copy = float("-inf")

    def snapshot(self, progress: DeploymentProgress) -> None:
        """Prints how many nodes are where, if anything has happened yet."""
        self._ended.clear()
        self._deployed.clear()
        groups: dict[tuple[str, str], list[str]] = {}
        for view in progress.nodes.values():
            if view.failed:
                self._say(progress, view.since, [view.name], f"error: {view.description}")
            elif view.step or view.settled:
                step = "" if view.settled else step_words(view.step)
                groups.setdefault((view.state_word.replace("_", " "), step), []).append(view.name)
        for (state, step), names in groups.items():
            self._say(progress, None, names, f"{state}, {step}" if step else state)

    def event(self, progress: DeploymentProgress, event: deployment_event_pb2.DeploymentEvent) -> None:
        """Prints or collects what happened."""
        seconds = progress.seconds(event)
        kind = event.WhichOneof("kind")
        if kind == "deployment_state_changed":
            if progress.finished:
                self._flush(progress, everything=True)
            changed = event.deployment_state_changed
            state = progress.words.of_whole(changed.state)
            self._say(progress, seconds, [], f"{state}: {changed.description}" if changed.description else state)
        elif kind == "partition_state_changed":
            self._state_changed(progress, event)
        elif kind == "remark":
            self._remark(event.remark.text, event.node)
        elif kind == "step_progressed":
            self._copied(progress)
        else:
            self._step(progress, event)

    def tick(self, progress: DeploymentProgress) -> None:
        """Prints what is complete, and what was collected long ago."""
        now = self._clock()
        if now - self._looked < LOOK_PAUSE:
            return
        self._looked = now
        if self._remarks and now - self._remarks_since >= REMARK_PATIENCE:
            self._flush_remarks(progress)
        waited = now - self._printed >= self._patience
        self._flush(progress, everything=waited)
        if waited:
            self._patience = min(2 * self._patience, LONGEST_PATIENCE)
            self._printed = now

    def say(self, text: str) -> None:
        """Prints a sentence."""
        output.say(text)

    def pause(self) -> None:
        """Does nothing: lines are always out of the way."""

    def close(self) -> None:
        """Does nothing: lines stay where they are."""

    def _state_changed(self, progress: DeploymentProgress, event: deployment_event_pb2.DeploymentEvent) -> None:
        changed = event.partition_state_changed
        if changed.state == deployment_pb2.PARTITION_STATE_ERROR:
            reason = word(deployment_pb2.FailureReason.DESCRIPTOR, changed.reason).replace("_", " ")
            self._say(progress, progress.seconds(event), [event.node], f"error: {changed.description or reason}")
        elif changed.state == deployment_pb2.PARTITION_STATE_DEPLOYED:
            self._deployed.append(event.node)

    def _step(self, progress: DeploymentProgress, event: deployment_event_pb2.DeploymentEvent) -> None:
        seconds = progress.seconds(event)
        if event.WhichOneof("kind") == "step_started":
            self._begun[event.node] = seconds
            return
        ended = event.step_ended
        if ended.succeeded:
            took = seconds - self._begun.get(event.node, seconds)
            self._ended.setdefault(ended.step, {})[event.node] = took
        elif not progress.nodes[event.node].settled:
            # It is tried again, or the next event says that the node has failed with these words.
            self._remark(f"{step_words(ended.step)} failed: {ended.description}", event.node)

    def _remark(self, text: str, node: str) -> None:
        if not self._remarks:
            self._remarks_since = self._clock()
        self._remarks.setdefault(text, []).append(node)

    def _copied(self, progress: DeploymentProgress) -> None:
        now = self._clock()
        if now - self._looked_at_copy < LOOK_PAUSE:
            return
        self._looked_at_copy = now
        taking_part = [view for view in progress.nodes.values() if not view.failed]
        total = max((view.total for view in taking_part), default=0)
        if not total:
            return
        done = sum(_copied_of(view, total) for view in taking_part)
        quarter = min(QUARTERS, QUARTERS * done // (total * len(taking_part)))
        if self._quarter < quarter < QUARTERS:
            self._quarter = quarter
            rate = progress.rate(now)
            speed = f", {output.size(round(rate))}/s" if rate else ""
            names = [view.name for view in taking_part]
            text = f"{step_words(COPY)} {quarter * 100 // QUARTERS} % of {len(names)} x {output.size(total)}{speed}"
            self._say(progress, None, names, text)

    def _flush(self, progress: DeploymentProgress, *, everything: bool) -> None:
        """Prints the steps that no node can end any more; with `everything` all that is collected."""
        if everything:
            self._flush_remarks(progress)
        active = [step_number(view.step) for view in progress.nodes.values() if not view.settled]
        slowest = min(active, default=len(STEPS) + 1)
        for step in sorted(self._ended, key=step_number):
            if everything or step_number(step) < slowest:
                self._say(progress, None, list(self._ended[step]), _done(step, self._ended.pop(step)))
        if self._deployed and (everything or not active):
            self._say(progress, None, self._deployed, progress.words.of_node(deployment_pb2.PARTITION_STATE_DEPLOYED))
            self._deployed = []

    def _flush_remarks(self, progress: DeploymentProgress) -> None:
        remarks, self._remarks = self._remarks, {}
        for text, names in remarks.items():
            # What became of a node that has failed stands on a line of its own.
            left = [name for name in names if not (name and progress.nodes[name].failed)]
            if left:
                self._say(progress, None, [name for name in left if name], text)

    def _say(self, progress: DeploymentProgress, seconds: float | None, names: list[str], text: str) -> None:
        self._printed = self._clock()
        at = progress.elapsed(self._clock()) if seconds is None else seconds
        output.say(f"{at:7.1f} s  {fold(names) if names else progress.words.noun}: {text}")


def _done(step: str, seconds: dict[str, float]) -> str:
    slowest = max(seconds, key=lambda name: seconds[name])
    text = f"{step_words(step)} done"
    if len(seconds) == 1:
        return f"{text} in {seconds[slowest]:.1f} s"
    return f"{text}, median {median(seconds.values()):.1f} s, slowest {slowest} {seconds[slowest]:.1f} s"


def _copied_of(view: NodeView, total: int) -> int:
    if step_number(view.step) > step_number(COPY) or view.settled:
        return total
    return view.done if view.step == COPY else 0
