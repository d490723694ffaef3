"""What a person sees of a deployment on a terminal: lines for a given width and height. Pure.

The totals come first and are always there. Then one line per node where they fit, else one per step and state; then the
failures, folded by reason, the newest first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import wrap

from rich.text import Text

from kadeploy_cli.deployments.watching.failure_groups import FailureGroup, group_failures
from kadeploy_cli.deployments.watching.progress import DeploymentProgress, NodeView
from kadeploy_cli.deployments.watching.steps import STEPS, numbered, step_number
from kadeploy_cli.deployments.watching.time_left import span, time_left
from kadeploy_cli.terminal import output
from kadeploy_nodeset import fold

STYLES = {"deployed": "green", "error": "red", "deploying": "cyan", "rebooting": "cyan"}
NARROW_BAR = 12
# Of the lines below the totals, failures take at most this part while something else is to be shown.
FAILURE_SHARE = 3
MOST_FAILURE_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What the screen shows. `medians`: seconds of each step, as far as its history is known."""

    progress: DeploymentProgress
    now: float
    width: int = 80
    height: int = 24
    medians: Mapping[str, float] = field(default_factory=dict)

    def lines(self) -> list[Text]:
        """Returns at most `height` lines of at most `width` columns."""
        header = self._header()
        room = max(2, self.height - len(header))
        groups = group_failures(self.progress.nodes.values())
        views = [view for view in self.progress.nodes.values() if not view.failed]
        body = [self._node(view) for view in views] if len(views) + len(groups) <= room else self._steps(views)
        least = min(max(1, room // FAILURE_SHARE), len(groups))
        failures = self._failures(groups, room - min(len(body), room - least))
        body = self._cut(body, room - len(failures), "more steps")
        return [self._fitted(line) for line in [*header, *body, *failures]]

    def _header(self) -> list[Text]:
        progress, now = self.progress, self.now
        rate = progress.rate(now)
        deployment = [f"{progress.words.noun} {progress.deployment.id}", progress.state_word]
        deployment += [f"{len(progress.nodes)} nodes", span(progress.elapsed(now))]
        counts = [
            Text(f"{count} {state.replace('_', ' ')}", style=STYLES.get(state, ""))
            for state, count in progress.counts().items()
        ]
        work = [self._place(), f"{output.size(round(rate))}/s" if rate else "", time_left(progress, self.medians, now)]
        return [
            Text("   ".join(deployment), style="bold"),
            Text(", ").join(counts),
            Text("   ".join(part for part in work if part), style="dim"),
        ]

    def _place(self) -> str:
        """Returns how far the nodes are: the first and the last step in which nodes are."""
        numbers = [step_number(view.step) for view in self.progress.nodes.values() if view.step and not view.settled]
        numbers = [number for number in numbers if number]
        if not numbers:
            return ""
        first, last = min(numbers), max(numbers)
        return f"step {first}" + (f" to {last}" if last > first else "") + f" of {len(STEPS)}"

    def _node(self, view: NodeView) -> Text:
        width = max((len(each.name) for each in self.progress.nodes.values()), default=0)
        state = Text(f"{view.state_word.replace('_', ' '):<9}", style=STYLES.get(view.state_word, ""))
        line = Text.assemble(f"{output.printable(view.name):<{width}}  ", state)
        if view.settled or not view.step:
            return line
        again = f" (attempt {view.attempt})" if view.attempt > 1 else ""
        line.append(f"  {numbered(view.step)}{again}")
        if view.total > 0:
            line.append(f"  {_bar(view.done, view.total)} {output.size(view.done)} of {output.size(view.total)}")
        line.append(f"  {span(self.progress.spent(view, self.now))}")
        return line

    def _steps(self, views: list[NodeView]) -> list[Text]:
        groups: dict[tuple[int, str, int], list[NodeView]] = {}
        for view in views:
            step = "" if view.settled else view.step
            number = len(STEPS) + 1 if view.settled else step_number(step)
            groups.setdefault((-number, step, view.state), []).append(view)
        return [self._group(step, members) for (_, step, _), members in sorted(groups.items())]

    def _group(self, step: str, members: list[NodeView]) -> Text:
        state = members[0].state_word
        line = Text.assemble(f"{len(members):>5}  ", Text(f"{state.replace('_', ' '):<9}", style=STYLES.get(state, "")))
        if step:
            line.append(f"  {numbered(step)}")
            done, total = sum(view.done for view in members), sum(view.total for view in members)
            line.append(f" {100 * done // total} %" if total else "")
            longest = max(members, key=lambda view: self.progress.spent(view, self.now))
            line.append(f", up to {span(self.progress.spent(longest, self.now))}")
        line.append(f"  {output.printable(fold(view.name for view in members))}")
        return line

    def _failures(self, groups: list[FailureGroup], room: int) -> list[Text]:
        """Returns a paragraph for each kind of failure, as long as all have room, else a line."""
        for most in range(MOST_FAILURE_LINES, 0, -1):
            lines = [line for group in groups for line in self._failure(group, most)]
            if len(lines) <= room:
                break
        return self._cut(lines, room, "more kinds of failure") if groups else []

    def _failure(self, group: FailureGroup, most: int) -> list[Text]:
        count = f" ({len(group.nodes)} nodes)" if len(group.nodes) > 1 else ""
        text = output.printable(f"{_short(group.folded, self.width // 3)}{count}: {group.text}")
        lines = wrap(text, self.width, subsequent_indent="    ", max_lines=most, placeholder=" …") or [""]
        return [Text(line, style="red") for line in lines]

    def _cut(self, lines: list[Text], room: int, rest: str) -> list[Text]:
        if len(lines) <= room:
            return lines
        kept = lines[: max(0, room - 1)]
        return [*kept, Text(f"       {len(lines) - len(kept)} {rest}", style="dim")]

    def _fitted(self, line: Text) -> Text:
        fitted = line.copy()
        fitted.no_wrap = True
        fitted.truncate(self.width, overflow="ellipsis")
        return fitted


def _bar(done: int, total: int) -> str:
    full = min(NARROW_BAR, NARROW_BAR * done // total)
    return "[" + "#" * full + "." * (NARROW_BAR - full) + "]"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
