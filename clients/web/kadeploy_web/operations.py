"""Operations: reboots, power changes and commands, as the page shows them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2, operation_pb2
from kadeploy_web.answers import json_response, seconds, word
from kadeploy_web.reading import PAGE_SIZE, client_of

# The states of a node in an operation, as the grid of the page knows them.
NODE_STATES = {"to_do": "to_deploy", "doing": "deploying", "done": "deployed", "error": "error"}


def operations(request: Request) -> Response:
    """Returns a page of operations, the latest first, without their nodes."""
    query = request.query_params
    wanted = deployer_service_pb2.ListOperationsRequest(
        page_size=PAGE_SIZE,
        page_token=query.get("page_token", ""),
        filter=deployer_service_pb2.OperationFilter(owner=query.get("owner", ""), nodes=query.get("nodes", "")),
    )
    answer = client_of(request).operation_page(wanted)
    return json_response(
        {"operations": [_head(one) for one in answer.operations], "next_page_token": answer.next_page_token}
    )


def operation(request: Request) -> Response:
    """Returns an operation with its nodes as rows."""
    found = client_of(request).operation(request.path_params["id"])
    return json_response({"head": _head(found), "rows": [_row(node) for node in found.node_states]})


def _head(found: operation_pb2.Operation) -> dict[str, Any]:
    return {
        "id": found.id,
        "kind": word(operation_pb2.OperationKind.DESCRIPTOR, found.kind),
        "state": word(operation_pb2.OperationState.DESCRIPTOR, found.state),
        "owner": found.owner,
        "nodes": found.nodes,
        "action": found.action,
        "created": seconds(found.create_time),
        "ended": seconds(found.end_time),
        "description": found.description,
    }


def _row(node: operation_pb2.OperationNode) -> tuple[Any, ...]:
    state = word(operation_pb2.OperationNodeState.DESCRIPTOR, node.state)
    return (
        node.node,
        NODE_STATES.get(state, state),
        node.step,
        word(deployment_pb2.FailureReason.DESCRIPTOR, node.reason),
        node.description,
        seconds(node.start_time),
        seconds(node.end_time),
    )
