"""Who may read: everybody who reaches the page, or only users who have logged in."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kadeploy_api import RemoteError
from kadeploy_web.acting import not_logged_in
from kadeploy_web.answers import problem, remote_problem
from kadeploy_web.parts import Parts
from kadeploy_web.reading import API
from kadeploy_web.sessions import BadLogin

# What somebody who has not logged in needs to do so.
OPEN = frozenset({f"{API}/session", f"{API}/login"})


class ReadersMiddleware:
    """Recognises who has logged in; where only users may read, refuses the data to everybody else."""

    def __init__(self, app: ASGIApp, *, parts: Parts) -> None:
        """Wraps an application."""
        self._app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "http" and scope["path"].startswith(API):
            refusal = await self._refusal(Request(scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        sessions = self._parts.sessions
        try:
            session = await sessions.recognise(request)
        except BadLogin as error:
            return problem(400, str(error), reason="BAD_LOGIN")
        except RemoteError as error:
            if error.kind is None:
                return remote_problem(error)
            sessions.forget(request)
            session = None
        if session is None and self._parts.users_only and request.url.path not in OPEN:
            return not_logged_in()
        return None
