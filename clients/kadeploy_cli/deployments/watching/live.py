"""Progress as a table that redraws itself, for people at a terminal. It is drawn on stderr and stays there."""

import sys
import time
from collections.abc import Callable

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kadeploy.deployer.v1 import deployment_event_pb2, deployment_pb2
from kadeploy_cli.deployments.watching.lines import step_words
from kadeploy_cli.deployments.watching.progress import DeploymentProgress, NodeView
from kadeploy_cli.terminal import output

REDRAW_INTERVAL = 0.1
BAR_WIDTH = 24
# Lines of the screen that are not nodes: heading, rule, summary, prompt.
OTHER_LINES = 8
STYLES = {"deployed": "green", "error": "red", "deploying": "cyan", "rebooting": "cyan"}


class LiveView:
    """Shows every node with its state, its step, a bar for what can be measured, and seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, console: Console | None = None) -> None:
        self._clock = clock
        self._console = console or Console(file=sys.stderr)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._begun = clock()
        self._drawn = 0.0
        self._running = False

    def snapshot(self, progress: DeploymentProgress) -> None:
        """Shows nothing of its own: all is in the table."""

    def event(self, progress: DeploymentProgress, event: deployment_event_pb2.DeploymentEvent) -> None:
        """Shows remarks above the table; all else is in the table."""
        if event.WhichOneof("kind") == "remark":
            subject = f"{event.node}: " if event.node else ""
            self.say(subject + event.remark.text)

    def tick(self, progress: DeploymentProgress) -> None:
        """Draws the table anew, at most ten times a second."""
        now = self._clock()
        if now - self._drawn < REDRAW_INTERVAL and not progress.finished:
            return
        if not self._running:
            self._live.start()
            self._running = True
        self._drawn = now
        self._live.update(self.render(progress, now), refresh=True)

    def say(self, text: str) -> None:
        """Prints a sentence above the table."""
        self._console.print(Text(output.printable(text)))

    def pause(self) -> None:
        """Takes the table off the screen until the next tick."""
        if self._running:
            self._live.stop()
            self._running = False

    def close(self) -> None:
        """Leaves the last table on the screen."""
        self.pause()

    def render(self, progress: DeploymentProgress, now: float) -> RenderableType:
        """Returns the table of the progress as it is now."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for heading in ("Node", "State", "Step", "Progress"):
            table.add_column(heading)
        table.add_column("Seconds", justify="right")
        shown = self._shown(progress)
        for view in shown:
            table.add_row(*self._row(view, now))
        counts = ", ".join(f"{count} {state}" for state, count in progress.counts().items())
        hidden = len(progress.nodes) - len(shown)
        more = f" ({hidden} nodes not shown)" if hidden else ""
        summary = f"{progress.deployment.id}  {progress.state_word}  {now - self._begun:.0f} s   {counts}{more}"
        return Group(table, Text(summary))

    def _shown(self, progress: DeploymentProgress) -> list[NodeView]:
        """Returns the nodes that fit the screen: failed ones first, then those that work, then the rest."""
        room = max(3, self._console.height - OTHER_LINES)
        views = list(progress.nodes.values())
        if len(views) <= room:
            return views
        failed = deployment_pb2.PARTITION_STATE_ERROR
        return sorted(views, key=lambda view: (view.state != failed, view.settled))[:room]

    def _row(self, view: NodeView, now: float) -> tuple[RenderableType, ...]:
        state = Text(view.state_word, style=STYLES.get(view.state_word, ""))
        if view.state == deployment_pb2.PARTITION_STATE_ERROR:
            step = f"{step_words(view.step)}: {view.description}" if view.step else view.description
            return (Text(view.name), state, Text(output.printable(step)), Text(""), Text(""))
        if view.settled:
            return (Text(view.name), state, Text(""), Text(""), Text(""))
        again = f" (attempt {view.attempt})" if view.attempt > 1 else ""
        progress: RenderableType = Text("")
        if view.total > 0:
            bar = Table.grid(padding=(0, 1))
            bar.add_row(
                ProgressBar(total=view.total, completed=min(view.done, view.total), width=BAR_WIDTH),
                Text(f"{output.size(view.done)} of {output.size(view.total)}"),
            )
            progress = bar
        seconds = Text(f"{max(0.0, now - view.since):.0f}" if view.step else "")
        return (Text(view.name), state, Text(step_words(view.step) + again), progress, seconds)
