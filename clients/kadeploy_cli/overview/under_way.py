"""What is under way: deployments, operations that hold nodes, and who waits for whom."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2, operation_pb2
from kadeploy_cli.connection.connect import Deployer
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.plain import timestamp, word
from kadeploy_nodeset import NodeSetError, expand, fold

ACTIVE = (deployment_pb2.DEPLOYMENT_STATE_WAITING, deployment_pb2.DEPLOYMENT_STATE_DEPLOYING)


@dataclass(slots=True, kw_only=True)
class Holder:
    """A deployment or an operation that holds nodes, or waits for them.

    `what`: the environment, or what is done to the nodes; `waits_for`: nodes by the holder's id.
    """

    id: str
    kind: str
    state: str
    user: str
    wanted: str = ""
    what: str = ""
    since: Timestamp | None = None
    nodes: list[str] = field(default_factory=list)
    waits_for: dict[str, list[str]] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Returns it for programs."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "user": self.user,
            "nodes": self.wanted or fold(self.nodes),
            "what": self.what,
            "since": timestamp(self.since) if self.since else None,
            "waits_for": {holder: fold(nodes) for holder, nodes in self.waits_for.items()},
        }

    def row(self, users: dict[str, str]) -> tuple[str, ...]:
        """Returns it as the row of a table. `users`: whose each holder is."""
        waits = "; ".join(f"{fold(nodes)}, held by {id_} of {users[id_]}" for id_, nodes in self.waits_for.items())
        return (
            self.id,
            self.kind,
            self.state,
            self.user,
            self.what,
            self.wanted or fold(self.nodes),
            output.local_time(self.since) if self.since else "",
            waits,
        )


def under_way(deployer: Deployer) -> list[Holder]:
    """Returns what is under way, deployments first, the oldest first."""
    wanted = deployer_service_pb2.DeploymentFilter(states=ACTIVE)
    request = deployer_service_pb2.ListDeploymentsRequest(filter=wanted)
    rows = deployer.pages(deployer.deployments.ListDeployments, request, lambda page: page.deployments)
    found = {row.id: _deployment(row) for row in reversed(list(rows))}
    running = deployer_service_pb2.OperationFilter(states=[operation_pb2.OPERATION_STATE_RUNNING])
    operations = deployer_service_pb2.ListOperationsRequest(filter=running)
    rows = deployer.pages(deployer.control.ListOperations, operations, lambda page: page.operations)
    found |= {row.id: _operation(row) for row in reversed(list(rows))}
    held: dict[str, str] = {}
    states = deployer_service_pb2.ListNodeStatesRequest()
    for node in deployer.pages(deployer.states.ListNodeStates, states, lambda page: page.nodes):
        if node.held_by:
            held[node.node] = node.held_by
            if node.held_by not in found:
                found[node.held_by] = Holder(
                    id=node.held_by, kind="operation", state="running", user=node.held_by_user, since=node.lock_time
                )
            found[node.held_by].nodes.append(node.node)
    for holder in found.values():
        if holder.state == "waiting":
            _find_obstacles(holder, held)
    return list(found.values())


def _deployment(row: deployment_pb2.Deployment) -> Holder:
    return Holder(
        id=row.id,
        kind="deployment",
        state=word(deployment_pb2.DeploymentState.DESCRIPTOR, row.state),
        user=row.owner,
        wanted=row.spec.nodes,
        what=f"{row.environment.name} {row.environment.version or ''}".strip(),
        since=row.start_time if row.HasField("start_time") else row.create_time,
    )


def _operation(row: operation_pb2.Operation) -> Holder:
    return Holder(
        id=row.id,
        kind=word(operation_pb2.OperationKind.DESCRIPTOR, row.kind),
        state=word(operation_pb2.OperationState.DESCRIPTOR, row.state),
        user=row.owner,
        wanted=row.nodes,
        what=row.action,
        since=row.create_time,
    )


def _find_obstacles(holder: Holder, held: dict[str, str]) -> None:
    """Notes who holds the nodes that a deployment waits for."""
    try:
        names = expand(holder.wanted)
    except NodeSetError:
        # A very long set is cut off in lists.
        return
    for name in names:
        other = held.get(name, "")
        if other and other != holder.id:
            holder.waits_for.setdefault(other, []).append(name)


def moment(time: datetime | None) -> str:
    """Returns a time in the user's own zone, to the minute; empty for none."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M") if time else ""
