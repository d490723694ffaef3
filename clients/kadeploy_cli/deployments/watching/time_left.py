"""How long a deployment will still take, as the history of its steps has it."""

from collections.abc import Mapping

from kadeploy_cli.deployments.watching.progress import DeploymentProgress, NodeView
from kadeploy_cli.deployments.watching.steps import COPY, STEPS

UNKNOWN = "time left not known"


def time_left(progress: DeploymentProgress, medians: Mapping[str, float], now: float) -> str:
    """Returns a clause for people. `medians`: seconds of each step that has a history; empty if there is none."""
    active = [view for view in progress.nodes.values() if not view.settled]
    if progress.finished or not active:
        return ""
    if not medians:
        return UNKNOWN
    rate = progress.rate(now) / max(1, sum(view.step == COPY and view.total > 0 for view in active))
    left = max(_left(progress, view, medians, rate, now) for view in active)
    return f"about {span(left)} left" if left > 0 else "longer than usual"


def span(seconds: float) -> str:
    """Returns a length of time for people: "45 s", "3 min 05 s", "2 h 10 min"."""
    whole = round(max(0.0, seconds))
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    if whole < 3600:  # noqa: PLR2004
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _left(progress: DeploymentProgress, view: NodeView, medians: Mapping[str, float], rate: float, now: float) -> float:
    """Returns the seconds that a node still needs; 0 if its last step takes longer than usual."""
    place = STEPS.index(view.step) if view.step in STEPS else -1
    later = sum(medians.get(step, 0.0) for step in STEPS[place + 1 :])
    if place < 0:
        return later
    if view.step == COPY and view.total > 0 and rate > 0:
        return later + max(0, view.total - view.done) / rate
    return later + max(0.0, medians.get(view.step, 0.0) - progress.spent(view, now))
