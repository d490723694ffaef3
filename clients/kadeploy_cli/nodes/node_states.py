"""What the nodes do now, as version 3's kanodes answered it: their state, who uses them, and what is under way."""

from collections.abc import Sequence
from typing import Any

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments import actions as deployments
from kadeploy_cli.nodes import actions as nodes
from kadeploy_cli.nodes import partitions
from kadeploy_cli.overview.under_way import ACTIVE, Holder, under_way
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.plain import plain, timestamp, word
from kadeploy_cli.terminal.short_lines import Column, show_short, without_domains
from kadeploy_nodeset import NodeSet, expand, fold

STATE_COLUMNS = (
    Column(name="NODE", most=20),
    Column(name="STATE", most=10),
    Column(name="USER", most=10),
    Column(name="LAST DEPLOYMENT", most=19),
    Column(name="ENVIRONMENT", most=13),
)
DEPLOYMENT_COLUMNS = (
    Column(name="DEPLOYMENT", most=19),
    Column(name="USER", most=10),
    Column(name="STATE", most=10),
    Column(name="ENVIRONMENT", most=13),
    Column(name="OK", most=5),
    Column(name="KO", most=5),
    Column(name="REST", most=5),
)
OPERATION_COLUMNS = (
    Column(name="OPERATION", most=36),
    Column(name="USER", most=10),
    Column(name="NODES", most=30),
)
BUSY, FREE = "busy", "-"


def show_states(session: Session, wanted: str, cluster: str = "") -> ExitCode:
    """Prints the state of every node of a set, of all nodes for the empty one."""
    found = nodes.fetch(session, wanted, cluster)
    held = _node_states(session, wanted)
    latest = _latest_partitions(session, wanted)
    data = [_state(node.name, held.get(node.name), latest.get(node.name)) for node in found]
    short = without_domains([node.name for node in found])
    if session.form is output.Format.TABLE:
        show_short(STATE_COLUMNS, [(short[item["node"]], *_cells(item)) for item in data])
    else:
        output.show(session.form, columns=(), rows=(), data=data, names=[item["node"] for item in data])
    nodes.tell_missing(session, found, wanted, cluster)
    return ExitCode.OK


def show_deployments(session: Session, wanted: str, deployment_id: str = "") -> ExitCode:
    """Prints the deployments that are under way, on a node set if one is named; or the one of that id."""
    found = [deployments.get(session, deployment_id)] if deployment_id else _deployments(session, wanted)
    if session.form is output.Format.TABLE:
        show_short(DEPLOYMENT_COLUMNS, [_deployment_row(each) for each in found])
    else:
        names = [each.id for each in found]
        output.show(session.form, columns=(), rows=(), data=[plain(each) for each in found], names=names)
    return ExitCode.OK


def show_operations(session: Session, wanted: str) -> ExitCode:
    """Prints the reboots and power changes that hold nodes now, on a node set if one is named."""
    found = _operations(session, wanted)
    if session.form is output.Format.TABLE:
        show_short(OPERATION_COLUMNS, [_operation_row(each) for each in found])
    else:
        names = [each.id for each in found]
        output.show(session.form, columns=(), rows=(), data=[each.plain() for each in found], names=names)
    return ExitCode.OK


def show_all(session: Session, wanted: str) -> ExitCode:
    """Prints all that is under way, on a node set if one is named."""
    made, other = _deployments(session, wanted), _operations(session, wanted)
    if session.form is output.Format.TABLE:
        show_short(DEPLOYMENT_COLUMNS, [_deployment_row(each) for each in made])
        output.show_text("", "")
        show_short(OPERATION_COLUMNS, [_operation_row(each) for each in other])
    else:
        data = {"deployments": [plain(each) for each in made], "operations": [each.plain() for each in other]}
        names = [*(each.id for each in made), *(each.id for each in other)]
        output.show(session.form, columns=(), rows=(), data=data, names=names)
    return ExitCode.OK


def _deployments(session: Session, wanted: str) -> list[deployment_pb2.Deployment]:
    deployer = session.deployer
    chosen = deployer_service_pb2.DeploymentFilter(states=ACTIVE, nodes=wanted)
    request = deployer_service_pb2.ListDeploymentsRequest(filter=chosen)
    rows = deployer.pages(deployer.deployments.ListDeployments, request, lambda page: page.deployments)
    return [deployments.get(session, row.id) for row in rows]


def _operations(session: Session, wanted: str) -> list[Holder]:
    names = set(expand(wanted)) if wanted else None
    return [
        holder
        for holder in under_way(session.deployer)
        if holder.kind != "deployment" and (names is None or names & set(_nodes_of(holder)))
    ]


def _operation_row(holder: Holder) -> tuple[str, ...]:
    return (holder.id, holder.user, holder.wanted or fold(holder.nodes))


def _nodes_of(holder: Holder) -> Sequence[str]:
    return holder.nodes or tuple(NodeSet.parse(holder.wanted))


def _node_states(session: Session, wanted: str) -> dict[str, deployer_service_pb2.NodeState]:
    deployer = session.deployer
    request = deployer_service_pb2.ListNodeStatesRequest(nodes=wanted)
    return {row.node: row for row in deployer.pages(deployer.states.ListNodeStates, request, lambda page: page.nodes)}


def _latest_partitions(session: Session, wanted: str) -> dict[str, deployer_service_pb2.PartitionStatus]:
    """Returns, by node, the partition that was written last."""
    latest: dict[str, deployer_service_pb2.PartitionStatus] = {}
    for (node, _, _), status in partitions.fetch_states(session, wanted).items():
        present = latest.get(node)
        if present is None or present.update_time.ToNanoseconds() < status.update_time.ToNanoseconds():
            latest[node] = status
    return latest


def _state(
    name: str,
    node: deployer_service_pb2.NodeState | None,
    partition: deployer_service_pb2.PartitionStatus | None,
) -> dict[str, Any]:
    state = word(deployment_pb2.PartitionState.DESCRIPTOR, partition.state) if partition else ""
    holder = node.held_by if node else ""
    if holder and not (partition and partition.deployment_id == holder):
        # An operation has it, or a deployment that has not come to its partition yet.
        state = BUSY
    return {
        "node": name,
        "state": state,
        "user": (node.held_by_user if node and holder else "") or (partition.owner if partition else ""),
        "held_by": holder,
        "last_deployment_id": (node.last_deployment_id if node else "")
        or (partition.deployment_id if partition else ""),
        "environment": partition.environment.name if partition else "",
        "environment_version": partition.environment.version if partition else None,
        "description": partition.description if partition else "",
        "update_time": timestamp(partition.update_time) if partition and partition.HasField("update_time") else None,
    }


def _cells(item: dict[str, Any]) -> tuple[str, ...]:
    version = item["environment_version"]
    environment = f"{item['environment']} {version}" if version else item["environment"]
    return tuple(value or FREE for value in (item["state"], item["user"], item["last_deployment_id"], environment))


def _deployment_row(deployment: deployment_pb2.Deployment) -> tuple[str, ...]:
    states = [node.state for node in deployment.nodes]
    good = states.count(deployment_pb2.PARTITION_STATE_DEPLOYED)
    bad = states.count(deployment_pb2.PARTITION_STATE_ERROR)
    left_out = states.count(deployment_pb2.PARTITION_STATE_UNSPECIFIED)
    environment = deployment.environment
    return (
        deployment.id,
        deployment.owner,
        word(deployment_pb2.DeploymentState.DESCRIPTOR, deployment.state),
        f"{environment.name} {environment.version}",
        str(good),
        str(bad + left_out),
        str(len(states) - good - bad - left_out),
    )
