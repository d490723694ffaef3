"""The application: routes, and errors as answers."""

import contextlib
import mimetypes
from collections.abc import AsyncIterator, Sequence
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kadeploy_edge.delegation import InvalidDelegation
from kadeploy_edge.status import RemoteError
from kadeploy_web import acting, live, operations, reading
from kadeploy_web.acting import BadBody, ForeignRequest, NotLoggedIn
from kadeploy_web.answers import problem, remote_problem
from kadeploy_web.client_holder import ClientHolder
from kadeploy_web.cluster_state import ClusterReader
from kadeploy_web.event_stream import Streams
from kadeploy_web.feeds import Feeds, Overview
from kadeploy_web.parts import Parts, parts_of
from kadeploy_web.readers import ReadersMiddleware
from kadeploy_web.reading import API, BadQuery
from kadeploy_web.security import SecurityMiddleware
from kadeploy_web.sessions import BadLogin, Sessions
from kadeploy_web.settings import USERS, Settings

# One document for all views: the page itself shows what its address names.
VIEWS = (
    "/",
    "/deployments",
    "/deployments/{id}",
    "/nodes/{name}",
    "/operations",
    "/operations/{id}",
    "/statistics",
    "/deploy",
)
STATIC = {file.name: file.read_bytes() for file in (files("kadeploy_web") / "static").iterdir() if file.is_file()}
NOT_FOUND = 404


def make_application(settings: Settings) -> Starlette:
    """Returns the application. Raises what opening the channels to the services raises."""
    holder = ClientHolder(settings.services)
    cluster = ClusterReader(holder)
    feeds = Feeds(holder)
    overview = Overview(cluster, feeds, holder)
    parts = Parts(
        client=holder,
        cluster=cluster,
        feeds=feeds,
        overview=overview,
        streams=Streams(settings.streams),
        sessions=Sessions(holder, https=settings.https is not None),
        users_only=settings.readers == USERS,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await overview.close()
            await feeds.close()
            holder.close()

    application = Starlette(
        routes=_routes(),
        middleware=[
            Middleware(SecurityMiddleware, hosts=settings.hosts, https=settings.https is not None),
            Middleware(ReadersMiddleware, parts=parts),
        ],
        exception_handlers={
            RemoteError: _remote_error,
            BadQuery: _bad_query,
            BadBody: _bad_query,
            BadLogin: _bad_query,
            NotLoggedIn: _not_logged_in,
            ForeignRequest: _foreign_request,
            HTTPException: _http_error,
            Exception: _fault,
        },
        lifespan=lifespan,
    )
    application.state.parts = parts
    return application


def _routes() -> Sequence[BaseRoute]:
    return [
        *(Route(path, _document) for path in VIEWS),
        Route("/static/{file}", _static),
        Route(API, reading.index),
        Route(f"{API}/cluster", reading.cluster),
        Route(f"{API}/nodes", reading.nodes),
        Route(f"{API}/nodes/{{name}}", reading.node),
        Route(f"{API}/node-set", reading.node_set),
        Route(f"{API}/deployments", reading.deployments),
        Route(f"{API}/deployments/{{id}}", reading.deployment),
        Route(f"{API}/deployments/{{id}}/view", reading.deployment_view),
        Route(f"{API}/deployments/{{id}}/events", live.deployment_events),
        Route(f"{API}/deployments/{{id}}/nodes/{{name}}/outputs", acting.step_outputs),
        Route(f"{API}/deployments", acting.create, methods=["POST"]),
        Route(f"{API}/deployments/{{id}}/cancel", acting.cancel, methods=["POST"]),
        Route(f"{API}/plan", acting.plan, methods=["POST"]),
        Route(f"{API}/session", acting.session),
        Route(f"{API}/login", acting.log_in, methods=["POST"]),
        Route(f"{API}/logout", acting.log_out, methods=["POST"]),
        Route(f"{API}/operations", operations.operations),
        Route(f"{API}/operations/{{id}}", operations.operation),
        Route(f"{API}/environments", reading.environments),
        Route(f"{API}/statistics", reading.history),
        Route(f"{API}/failure-rates", reading.failure_rates),
        Route(f"{API}/events", live.overview_events),
    ]


async def _document(_: Request) -> Response:
    return Response(STATIC["index.html"], media_type="text/html", headers={"Cache-Control": "no-cache"})


async def _static(request: Request) -> Response:
    """Returns a file of the page; they are few and small, and were read at the start."""
    name = request.path_params["file"]
    if name not in STATIC or name == "index.html":
        return problem(NOT_FOUND, "there is no such file")
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(STATIC[name], media_type=media_type, headers={"Cache-Control": "no-cache"})


async def _not_logged_in(_: Request, _error: Exception) -> Response:
    return acting.not_logged_in()


async def _foreign_request(_: Request, _error: Exception) -> Response:
    return acting.foreign_request()


async def _remote_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RemoteError)  # noqa: S101 - registered for this class
    if error.reason == InvalidDelegation.reason:
        parts_of(request).sessions.forget(request)
    return remote_problem(error)


async def _bad_query(_: Request, error: Exception) -> Response:
    return problem(400, str(error), reason="INVALID_QUERY")


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    return problem(error.status_code, error.detail)


async def _fault(_: Request, _error: Exception) -> Response:
    return problem(500, "the page has met an error that nobody foresaw; its log tells more")
