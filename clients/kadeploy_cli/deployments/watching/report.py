"""How a deployment ended: the classic table of nodes, the time of each step, and the exit status."""

import re
from statistics import median

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_cli.deployments.watching.failure_groups import group_failures
from kadeploy_cli.deployments.watching.progress import DeploymentProgress
from kadeploy_cli.deployments.watching.steps import step_words
from kadeploy_cli.terminal import advice, output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.plain import word
from kadeploy_nodeset import NodeSetError, expand, fold

# More nodes than this do not stand beside each other; their times are summed up.
COLUMNS_AT_MOST = 6
# More nodes than this do not get a row each: those to which the same happened share one.
ROWS_AT_MOST = 20


def good_nodes(deployment: deployment_pb2.Deployment) -> list[str]:
    """Returns the nodes that run the new system."""
    return [node.node for node in deployment.nodes if node.state == deployment_pb2.PARTITION_STATE_DEPLOYED]


def bad_nodes(deployment: deployment_pb2.Deployment) -> list[str]:
    """Returns the nodes that were asked for and do not run it, those that were left out among them."""
    good = set(good_nodes(deployment))
    bad = [node.node for node in deployment.nodes if node.node not in good]
    return bad + left_out(deployment)


def left_out(deployment: deployment_pb2.Deployment) -> list[str]:
    """Returns the nodes that were asked for and never took part."""
    known = {node.node for node in deployment.nodes}
    try:
        wanted = expand(deployment.spec.nodes)
    except NodeSetError:
        # The deployer took it, so it names the nodes itself.
        return []
    return [name for name in wanted if name not in known]


def exit_code(deployment: deployment_pb2.Deployment) -> ExitCode:
    """Returns 0 if every node that was asked for is deployed, 6 if some are, 1 if none is."""
    good, bad = good_nodes(deployment), bad_nodes(deployment)
    if good and bad:
        return ExitCode.PARTIAL
    ended_well = deployment.state == deployment_pb2.DEPLOYMENT_STATE_TERMINATED
    return ExitCode.OK if good and ended_well else ExitCode.FAILED


def show(deployment: deployment_pb2.Deployment) -> None:
    """Prints the report to stdout."""
    if len(deployment.nodes) <= ROWS_AT_MOST:
        rows = [
            (node.node, word(deployment_pb2.PartitionState.DESCRIPTOR, node.state), _error(node))
            for node in deployment.nodes
        ]
        rows += [(name, "left out", "") for name in left_out(deployment)]
        output.show_table(("Node", "State", "Error description"), rows)
    else:
        output.show_table(("Nodes", "Count", "State", "Error description"), _grouped(deployment))
    _show_advice(deployment)
    show_times(deployment)
    output.show_fields([("\ndeployment", _summary(deployment))])


def _show_advice(deployment: deployment_pb2.Deployment) -> None:
    """Says what to try, once for each reason."""
    first: dict[str, str] = {}
    for node in deployment.nodes:
        if node.state != deployment_pb2.PARTITION_STATE_DEPLOYED and node.reason:
            first.setdefault(word(deployment_pb2.FailureReason.DESCRIPTOR, node.reason), node.node)
    for reason, name in first.items():
        hint = advice.FAILURES.get(reason, "")
        # As words alone: parts of other words stay what they are.
        hint = re.sub(r"\bNODE\b", name, re.sub(r"\bID\b", deployment.id, hint))
        if hint:
            output.say(f"{reason.replace('_', ' ')}: {hint}")


def _grouped(deployment: deployment_pb2.Deployment) -> list[tuple[str, str, str, str]]:
    """Returns a row for all nodes in one state, and one for all that failed in the same way."""
    states: dict[str, list[str]] = {}
    for node in deployment.nodes:
        if node.state != deployment_pb2.PARTITION_STATE_ERROR:
            states.setdefault(word(deployment_pb2.PartitionState.DESCRIPTOR, node.state), []).append(node.node)
    if skipped := left_out(deployment):
        states["left out"] = skipped
    rows = [(fold(names), str(len(names)), state, "") for state, names in states.items()]
    failures = group_failures(DeploymentProgress(deployment, 0.0).nodes.values())
    return rows + [(group.folded, str(len(group.nodes)), "error", group.text) for group in failures]


def _error(node: deployment_pb2.NodeDeployment) -> str:
    if node.state == deployment_pb2.PARTITION_STATE_DEPLOYED:
        return ""
    reason = word(deployment_pb2.FailureReason.DESCRIPTOR, node.reason).replace("_", " ")
    return node.description or reason


def _summary(deployment: deployment_pb2.Deployment) -> str:
    state = word(deployment_pb2.DeploymentState.DESCRIPTOR, deployment.state)
    good, count = len(good_nodes(deployment)), len(deployment.nodes) + len(left_out(deployment))
    seconds = (deployment.end_time.ToNanoseconds() - deployment.create_time.ToNanoseconds()) / 1e9
    took = f" in {seconds:.0f} s" if deployment.HasField("end_time") and seconds > 0 else ""
    return f"{deployment.id} {state}{took}: {deployment.description or f'{good} of {count} nodes deployed'}"


def show_times(deployment: deployment_pb2.Deployment) -> None:
    """Prints the seconds of each step, per node, or for many nodes the fastest, the median and the slowest."""
    times: dict[str, dict[str, float]] = {}
    for node in deployment.nodes:
        for spent in node.step_durations:
            seconds = spent.duration.seconds + spent.duration.nanos / 1e9
            of_step = times.setdefault(spent.step, {})
            of_step[node.node] = of_step.get(node.node, 0.0) + seconds
    if not times:
        return
    names = [node.node for node in deployment.nodes]
    output.show_text("", "")
    if len(names) <= COLUMNS_AT_MOST:
        rows = [
            (step_words(step), *(f"{of_step[name]:.1f}" if name in of_step else "-" for name in names))
            for step, of_step in times.items()
        ]
        output.show_table(("Seconds per step", *names), rows)
        return
    rows = [
        (step_words(step), *(f"{value:.1f}" for value in _summed(list(of_step.values()))))
        for step, of_step in times.items()
    ]
    output.show_table(("Seconds per step", "Fastest", "Median", "Slowest"), rows)


def _summed(values: list[float]) -> tuple[float, float, float]:
    return min(values), median(values), max(values)
