"""Progress as a screen that redraws itself, for people at a terminal. It is drawn on stderr and stays there."""

import sys
import time
from collections.abc import Callable, Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from kadeploy.deployer.v1 import deployment_event_pb2
from kadeploy_cli.deployments.watching.progress import DeploymentProgress
from kadeploy_cli.deployments.watching.screen import Screen
from kadeploy_cli.terminal import output

REDRAW_INTERVAL = 0.1
MANY_NODES = 1000
MANY_REDRAW_INTERVAL = 0.5
"""Thousands of nodes are folded for each picture, which costs processor time."""
PROMPT_LINES = 1


class LiveView:
    """Shows totals, nodes or groups of nodes, and failures.

    Args:
        clock: seconds that never go back, as the follower's.
        console: where it is drawn.
        medians: gives the seconds of each step, as far as its history is known by now.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        console: Console | None = None,
        medians: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._clock, self._medians = clock, medians
        self._console = console or Console(file=sys.stderr)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._drawn = float("-inf")
        self._running = False

    def snapshot(self, progress: DeploymentProgress) -> None:
        """Shows nothing of its own: all is on the screen."""

    def event(self, progress: DeploymentProgress, event: deployment_event_pb2.DeploymentEvent) -> None:
        """Shows remarks on the whole deployment above the screen; all else is on it."""
        if event.WhichOneof("kind") == "remark" and not event.node:
            self.say(event.remark.text)

    def tick(self, progress: DeploymentProgress) -> None:
        """Draws the screen anew, at most ten times a second."""
        now = self._clock()
        interval = MANY_REDRAW_INTERVAL if len(progress.nodes) >= MANY_NODES else REDRAW_INTERVAL
        if now - self._drawn < interval and not progress.finished:
            return
        if not self._running:
            self._live.start()
            self._running = True
        self._drawn = now
        self._live.update(self.render(progress, now), refresh=True)

    def say(self, text: str) -> None:
        """Prints a sentence above the screen."""
        self._console.print(Text(output.printable(text)))

    def pause(self) -> None:
        """Takes the screen away until the next tick."""
        if self._running:
            self._live.stop()
            self._running = False

    def close(self) -> None:
        """Leaves the last screen where it is."""
        self.pause()

    def render(self, progress: DeploymentProgress, now: float) -> RenderableType:
        """Returns the screen of the progress as it is now."""
        screen = Screen(
            progress=progress,
            now=now,
            width=self._console.width,
            height=self._console.height - PROMPT_LINES,
            medians=self._medians(),
        )
        return Group(*screen.lines())
