"""A deployment as the page shows it: a head, one row per node, and what adds up from the rows. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_nodeset import fold
from kadeploy_web.answers import seconds, word

STEPS_IN_ORDER = (
    "boot_deployment_environment",
    "find_disk",
    "preinstall",
    "partition",
    "format",
    "mount",
    "broadcast",
    "mount_image",
    "postinstall",
    "cloud_init",
    "keys",
    "boot_files",
    "boot_new_system",
)
"""The steps that the page knows; others are shown behind them."""
MOST_FAILURES = 200


class NodeRow(NamedTuple):
    """One node. `done` and `total` are the step's progress in its unit; times are seconds since 1970."""

    node: str
    state: str
    step: str
    attempt: int
    done: int
    total: int
    reason: str
    description: str
    start: float | None
    end: float | None


def node_row(node: deployment_pb2.NodeDeployment, progress: tuple[int, int] = (0, 0)) -> NodeRow:
    """Returns the row of a node."""
    return NodeRow(
        node.node,
        word(deployment_pb2.PartitionState.DESCRIPTOR, node.state),
        node.step,
        node.attempt,
        *progress,
        word(deployment_pb2.FailureReason.DESCRIPTOR, node.reason),
        node.description,
        seconds(node.start_time),
        seconds(node.end_time),
    )


def head(deployment: deployment_pb2.Deployment) -> dict[str, Any]:
    """Returns what is true of the whole deployment."""
    environment = deployment.environment
    return {
        "id": deployment.id,
        "state": word(deployment_pb2.DeploymentState.DESCRIPTOR, deployment.state),
        "owner": deployment.owner,
        "nodes": deployment.spec.nodes,
        "environment": f"{environment.name} {environment.version}" if environment.name else "",
        "partition": f"{deployment.spec.device}{deployment.spec.partition or ''}",
        "image_bytes": environment.image_size_bytes,
        "created": seconds(deployment.create_time),
        "started": seconds(deployment.start_time),
        "ended": seconds(deployment.end_time),
        "description": deployment.description,
    }


def summary(rows: Iterable[NodeRow]) -> dict[str, Any]:
    """Returns how many nodes are in each state and step, the bytes that were copied, and the failures by reason."""
    states: dict[str, int] = {}
    steps: dict[str, int] = {}
    failures: dict[tuple[str, str], list[NodeRow]] = {}
    done = total = 0
    for row in rows:
        states[row.state] = states.get(row.state, 0) + 1
        if row.state == "error":
            failures.setdefault((row.reason, row.step), []).append(row)
        elif row.state != "deployed":
            steps[row.step] = steps.get(row.step, 0) + 1
        done, total = done + row.done, total + row.total
    return {"states": states, "steps": steps, "done": done, "total": total, "failures": _folded(failures)}


def event_line(event: Any) -> tuple[float | None, str, str] | None:
    """Returns time, node and sentence of an event that a person wants to read; None for one that the rows show."""
    kind = event.WhichOneof("kind")
    text = ""
    if kind == "deployment_state_changed":
        changed = event.deployment_state_changed
        state = word(deployment_pb2.DeploymentState.DESCRIPTOR, changed.state)
        text = f"{state}: {changed.description}" if changed.description else state
    elif kind == "partition_state_changed":
        changed = event.partition_state_changed
        state = word(deployment_pb2.PartitionState.DESCRIPTOR, changed.state)
        text = f"{state}: {changed.description}" if changed.description else state
    elif kind == "step_ended" and not event.step_ended.succeeded:
        text = f"{event.step_ended.step}: {event.step_ended.description}"
    elif kind == "remark":
        text = event.remark.text
    return (seconds(event.time), event.node, text) if text else None


def statistics(answer: deployer_service_pb2.GetStatisticsResponse) -> dict[str, Any]:
    """Returns the history for the plots; durations in seconds."""
    order = {name: number for number, name in enumerate(STEPS_IN_ORDER)}
    steps = sorted(answer.steps, key=lambda one: (order.get(one.step, len(order)), one.step))
    return {
        "months": [
            {
                "month": f"{one.year:04d}-{one.month:02d}",
                "deployments": one.deployments,
                "failed": one.failed_deployments,
                "nodes": one.nodes,
            }
            for one in answer.months
        ],
        "nodes": [{"node": one.node, "deployments": one.deployments, "failures": one.failures} for one in answer.nodes],
        "steps": [
            {
                "step": one.step,
                "count": one.count,
                "failures": one.failures,
                "median": one.median_duration.ToNanoseconds() / 1e9,
                "maximum": one.maximum_duration.ToNanoseconds() / 1e9,
            }
            for one in steps
        ],
    }


def _folded(failures: Mapping[tuple[str, str], Sequence[NodeRow]]) -> list[dict[str, Any]]:
    """Returns failures folded to node sets, the latest first, each with the sentence of its latest node."""
    groups = []
    for (reason, step), rows in failures.items():
        last = max(rows, key=_end)
        groups.append(
            {
                "reason": reason,
                "step": step,
                "description": last.description,
                "count": len(rows),
                "nodes": fold(row.node for row in rows),
                "time": _end(last),
            }
        )
    groups.sort(key=itemgetter("time"), reverse=True)
    return groups[:MOST_FAILURES]


def _end(row: NodeRow) -> float:
    return row.end or 0.0
