"""What can be read: JSON for the page and for people with curl. Changes nothing."""

import math
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_api import DeploymentView, Kadeploy
from kadeploy_nodeset import NodeSetError, expand
from kadeploy_web.answers import json_response, message_dict, problem, word
from kadeploy_web.cluster_state import ClusterState, partition_dict
from kadeploy_web.deployment_rows import head, node_row, statistics, summary
from kadeploy_web.failure_rates import read_failure_rates
from kadeploy_web.parts import parts_of

API = "/api/v1"
PAGE_SIZE, MOST_ROWS = 50, 500
HISTORY = 50
BAD_REQUEST, NOT_FOUND = 400, 404

PATHS: Mapping[str, str] = {
    f"{API}/cluster": "All nodes by cluster, as rows [node, state, deployment, environment, reason]",
    f"{API}/nodes?nodes=SET&cluster=NAME": "Nodes with their disks and partitions, as the contract has them",
    f"{API}/nodes/NAME": "One node, the states of its partitions, and its latest deployments",
    f"{API}/node-set?nodes=SET": "The names of a node set, and which of them are no nodes",
    f"{API}/deployments?state=STATE&owner=USER&nodes=SET&page_token=TOKEN": "Deployments, the latest first",
    f"{API}/deployments/ID": "One deployment with its nodes, as the contract has it",
    f"{API}/deployments/ID/view": "The same as rows, with sums and folded failures",
    f"{API}/deployments/ID/events": "The same as it changes: server-sent events until its end",
    f"{API}/operations?owner=USER&nodes=SET&page_token=TOKEN": "Reboots, power changes and commands, the latest first",
    f"{API}/operations/ID": "One of them with its nodes as rows",
    f"{API}/environments": "The environments that everybody may use",
    f"{API}/statistics?nodes=SET&since=SECONDS&until=SECONDS": "History per month, node and step",
    f"{API}/failure-rates?nodes=SET": "Per node and month, of the nodes that fail most: [deployments, failures]",
    f"{API}/events": "Nodes and running deployments as they change: server-sent events",
}


class BadQuery(Exception):
    """A parameter of the address is not what it should be; the message says which."""


def client_of(request: Request) -> Kadeploy:
    """Returns what the services are called with for a request: in the name of its user, if one has logged in."""
    parts = parts_of(request)
    session = parts.sessions.of(request)
    return session.client if session is not None else parts.client()


def index(_: Request) -> Response:
    """Lists what can be read."""
    return json_response({"paths": PATHS})


async def cluster(request: Request) -> Response:
    """Returns the whole site in rows."""
    state = await parts_of(request).cluster.read()
    return json_response(_cluster_dict(state))


def nodes(request: Request) -> Response:
    """Returns nodes as the inventory has them."""
    found = client_of(request).nodes(_text(request, "nodes"), cluster=_text(request, "cluster"))
    return json_response({"nodes": [message_dict(node) for node in found]})


def node(request: Request) -> Response:
    """Returns one node: what it is, what is on it, and what was done to it."""
    name = request.path_params["name"]
    client = client_of(request)
    found = client.node(name)
    holder = next(client.node_states(name), None)
    wanted = deployer_service_pb2.ListDeploymentsRequest(
        page_size=HISTORY, filter=deployer_service_pb2.DeploymentFilter(nodes=name)
    )
    return json_response(
        {
            "node": message_dict(found),
            "partitions": [partition_dict(status) for status in client.partition_states(name)],
            "held_by": holder.held_by if holder is not None else "",
            "held_by_user": holder.held_by_user if holder is not None else "",
            "deployments": [head(one) for one in client.deployment_page(wanted).deployments],
        }
    )


async def node_set(request: Request) -> Response:
    """Returns the names of a node set."""
    text = _text(request, "nodes")
    try:
        names = list(expand(text))
    except NodeSetError as error:
        return problem(BAD_REQUEST, str(error), reason="INVALID_NODE_SET", fields={"nodes": str(error)})
    state = await parts_of(request).cluster.read()
    return json_response(
        {
            "nodes": [name for name in names if name in state.rows],
            "unknown": [name for name in names if name not in state.rows],
        }
    )


def deployments(request: Request) -> Response:
    """Returns a page of deployments."""
    states = [_state(name) for name in request.query_params.getlist("state")]
    wanted = deployer_service_pb2.ListDeploymentsRequest(
        page_size=int(_number(request, "page_size", PAGE_SIZE, least=1, most=MOST_ROWS)),
        page_token=_text(request, "page_token"),
        filter=deployer_service_pb2.DeploymentFilter(
            owner=_text(request, "owner"), nodes=_text(request, "nodes"), states=states
        ),
    )
    answer = client_of(request).deployment_page(wanted)
    rows = [head(one) for one in answer.deployments]
    return json_response({"deployments": rows, "next_page_token": answer.next_page_token})


def deployment(request: Request) -> Response:
    """Returns a deployment as the contract has it."""
    return json_response(message_dict(client_of(request).deployment(request.path_params["id"])))


def deployment_view(request: Request) -> Response:
    """Returns a deployment as the page shows it."""
    view = DeploymentView()
    view.deployment = client_of(request).deployment(request.path_params["id"])
    rows = [node_row(one) for one in view.deployment.nodes]
    durations = {
        one.node: {step.step: step.duration.ToNanoseconds() / 1e9 for step in one.step_durations}
        for one in view.deployment.nodes
        if request.query_params.get("node") == one.node
    }
    content = {"head": head(view.deployment), "summary": summary(rows), "rows": rows, "lines": [], "steps": durations}
    return json_response(content)


def environments(request: Request) -> Response:
    """Returns the environments that the caller may use."""
    found = client_of(request).environments()
    return json_response({"environments": [message_dict(one) for one in found]})


def history(request: Request) -> Response:
    """Returns the statistics of an interval."""
    since = _number(request, "since", math.nan, least=0, most=1e11)
    until = _number(request, "until", math.nan, least=0, most=1e11)
    answer = client_of(request).statistics(
        _text(request, "nodes"),
        since=None if math.isnan(since) else since,
        until=None if math.isnan(until) else until,
    )
    return json_response(statistics(answer))


def failure_rates(request: Request) -> Response:
    """Returns the nodes that fail most, with their deployments and failures in each of the last twelve months."""
    return json_response(read_failure_rates(client_of(request), _text(request, "nodes")))


def _cluster_dict(state: ClusterState) -> dict[str, object]:
    clusters = [
        {"name": name, "nodes": [state.rows[node] for node in names]} for name, names in sorted(state.clusters.items())
    ]
    return {"time": state.time, "clusters": clusters}


def _text(request: Request, name: str) -> str:
    return request.query_params.get(name, "")


def _number(request: Request, name: str, default: float, *, least: float, most: float) -> float:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise BadQuery(f"{name} must be a number from {least:g} to {most:g}, not {text[:80]!r}")
    return value


def _state(name: str) -> "deployment_pb2.DeploymentState.ValueType":
    known = {word(deployment_pb2.DeploymentState.DESCRIPTOR, number): number for number in range(1, 5)}
    if name not in known:
        raise BadQuery(f"state must be one of {', '.join(known)}, not {name[:80]!r}")
    return deployment_pb2.DeploymentState.ValueType(known[name])
