"""What a user who has logged in can do: plan, start and cancel deployments, with their own rights."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.json_format import ParseDict, ParseError
from starlette.requests import Request
from starlette.responses import Response

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_nodeset import fold
from kadeploy_web.answers import json_response, problem, word
from kadeploy_web.deployment_rows import head
from kadeploy_web.parts import parts_of
from kadeploy_web.sessions import CSRF_HEADER, Session

LARGEST_BODY = (1 << 20) + (1 << 17)
UNAUTHORIZED, FORBIDDEN, CREATED = 401, 403, 201
LONGEST_REASON = 1000

Result = TypeVar("Result")


class BadBody(Exception):
    """The body of a request is not what it should be; the message says what."""


class NotLoggedIn(Exception):
    """Nobody has logged in on the request's behalf."""


class ForeignRequest(Exception):
    """The request does not come from the page that its user has open."""


async def session(request: Request) -> Response:
    """Says who has logged in."""
    found = parts_of(request).sessions.of(request)
    return json_response(_session_dict(found))


async def log_in(request: Request) -> Response:
    """Logs a user in, with the delegation that they bring."""
    body = await _body(request)
    token = body.get("token")
    if not isinstance(token, str):
        raise BadBody("token must be a text")
    return await parts_of(request).sessions.log_in(token.strip(), lambda found: json_response(_session_dict(found)))


async def log_out(request: Request) -> Response:
    """Logs a user out; the page forgets the delegation."""
    _acting(request)
    return parts_of(request).sessions.log_out(request, json_response(_session_dict(None)))


async def plan(request: Request) -> Response:
    """Says what a deployment would do. Changes nothing."""
    acting = _acting(request)
    spec = _spec((await _body(request)).get("spec"))
    return json_response(_plan_dict(await _in_thread(lambda: acting.client.plan(spec))))


async def create(request: Request) -> Response:
    """Starts a deployment."""
    acting = _acting(request)
    body = await _body(request)
    spec, request_id = _spec(body.get("spec")), body.get("request_id")
    if not isinstance(request_id, str) or not request_id:
        raise BadBody("request_id must be a UUID, made when the plan was asked for")
    made = await _in_thread(lambda: acting.client.create(spec, request_id=request_id))
    return json_response(head(made), CREATED)


async def cancel(request: Request) -> Response:
    """Asks a deployment to stop."""
    acting = _acting(request)
    reason = (await _body(request)).get("reason", "")
    if not isinstance(reason, str) or len(reason.encode()) > LONGEST_REASON:
        raise BadBody(f"reason must be a text of at most {LONGEST_REASON} bytes")
    deployment_id = request.path_params["id"]
    return json_response(head(await _in_thread(lambda: acting.client.cancel(deployment_id, reason))))


def step_outputs(request: Request) -> Response:
    """Returns what scripts printed on a node; of the user's own deployments."""
    found = parts_of(request).sessions.of(request)
    if found is None:
        raise NotLoggedIn
    outputs = found.client.step_outputs(request.path_params["id"], request.path_params["name"])
    rows = [{"step": one.step, "attempt": one.attempt, "text": one.text, "truncated": one.truncated} for one in outputs]
    return json_response({"outputs": rows})


def not_logged_in() -> Response:
    """Returns the answer to somebody who has to log in first."""
    return problem(UNAUTHORIZED, "log in first: `ka web login` prints how", reason="NOT_LOGGED_IN")


def foreign_request() -> Response:
    """Returns the answer to a change that the page did not ask for."""
    return problem(FORBIDDEN, "a change must come from the page itself; load it anew", reason="FOREIGN_REQUEST")


def _acting(request: Request) -> Session:
    """Returns whose change it is. Raises NotLoggedIn or ForeignRequest."""
    found = parts_of(request).sessions.of(request)
    if found is None or not found.by_cookie:
        raise NotLoggedIn
    if request.headers.get(CSRF_HEADER) != found.csrf:
        raise ForeignRequest
    return found


async def _in_thread(call: Callable[[], Result]) -> Result:
    return await asyncio.to_thread(call)


async def _body(request: Request) -> dict[str, Any]:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LARGEST_BODY:
            raise BadBody(f"the request is larger than {LARGEST_BODY} bytes")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadBody("the request is no JSON") from error
    if not isinstance(found, dict):
        raise BadBody("the request must be a JSON object")
    return found


def _spec(content: Any) -> deployment_pb2.DeploymentSpec:
    if not isinstance(content, dict):
        raise BadBody("spec must be an object with the fields of DeploymentSpec")
    try:
        return ParseDict(content, deployment_pb2.DeploymentSpec(), max_recursion_depth=5)
    except ParseError as error:
        raise BadBody(f"spec: {error}") from error


def _session_dict(found: Session | None) -> dict[str, Any]:
    if found is None:
        return {"user": "", "may_change": False, "csrf": "", "end": None}
    return {"user": found.user, "may_change": found.may_change, "csrf": found.csrf, "end": found.end}


def _plan_dict(answer: deployer_service_pb2.PlanDeploymentResponse) -> dict[str, Any]:
    """Returns a plan; nodes for which the same would be done go together, with the words for the first of them."""
    groups: dict[tuple[Any, ...], list[deployment_pb2.NodePlan]] = {}
    for node in answer.nodes:
        steps = tuple(step.step for step in node.steps)
        groups.setdefault((node.included, node.reason, node.held_by, steps), []).append(node)
    return {
        "environment": f"{answer.environment.name} {answer.environment.version}",
        "boot_method": word(deployment_pb2.BootMethod.DESCRIPTOR, answer.boot_method),
        "groups": [_group_dict(nodes) for nodes in groups.values()],
    }


def _group_dict(nodes: list[deployment_pb2.NodePlan]) -> dict[str, Any]:
    first = nodes[0]
    return {
        "nodes": fold(node.node for node in nodes),
        "count": len(nodes),
        "example": first.node,
        "included": first.included,
        "reason": word(deployment_pb2.FailureReason.DESCRIPTOR, first.reason),
        "description": first.description,
        "held_by": first.held_by,
        "steps": [
            {
                "step": step.step,
                "timeout": step.timeout.ToNanoseconds() / 1e9,
                "retries": step.retries,
                "actions": list(step.actions),
                "files": [{"path": file.path, "text": file.text} for file in step.files],
            }
            for step in first.steps
        ],
    }
