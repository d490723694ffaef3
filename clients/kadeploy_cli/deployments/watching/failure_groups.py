"""Failed nodes folded by what happened to them: one group for all to which the same happened."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_cli.deployments.watching.progress import NodeView
from kadeploy_cli.terminal.plain import word
from kadeploy_nodeset import fold

# What differs between nodes to which the same happened: times, seconds, addresses, ids.
_NUMBERS = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ?|\b\d\d:\d\d:\d\d\b|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\d+(?:\.\d+)*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Nodes to which the same happened. `text` is what was said of the last one; `since` is when that failed."""

    nodes: tuple[str, ...]
    text: str
    since: float

    @property
    def folded(self) -> str:
        """The nodes as a node set."""
        return fold(self.nodes)


def group_failures(views: Iterable[NodeView]) -> list[FailureGroup]:
    """Returns the failures of those nodes that have failed, the newest first."""
    found: dict[tuple[int, str], list[NodeView]] = {}
    for view in views:
        if view.failed:
            found.setdefault((view.reason, _alike(view)), []).append(view)
    groups = []
    for alike in found.values():
        last = max(alike, key=lambda view: view.since)
        groups.append(FailureGroup(nodes=tuple(view.name for view in alike), text=_text(last), since=last.since))
    return sorted(groups, key=lambda group: -group.since)


def _alike(view: NodeView) -> str:
    return _NUMBERS.sub("#", view.description.replace(view.name, "NODE"))


def _text(view: NodeView) -> str:
    return view.description or word(deployment_pb2.FailureReason.DESCRIPTOR, view.reason).replace("_", " ") or "failed"
