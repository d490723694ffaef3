"""Users who have logged in: each with the delegation that they gave to the page, kept in memory alone.

The page checks no delegation itself. It is good for what the services accept it for, at each call; what is read of it
here is shown to its own user.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from kadeploy_api import Kadeploy
from kadeploy_edge.delegation import LONGEST_BYTES, METADATA_KEY, unchecked_claims

MOST_SESSIONS = 2000
# Whoever only reads what the page reads for all is looked at again so often: their certificate may have been revoked.
RECHECK_SECONDS = 60.0
CSRF_HEADER = "x-kadeploy-csrf"


class BadLogin(Exception):
    """What was given is no delegation."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One user who has logged in.

    Attributes:
        user: the name.
        may_change: whether the delegation allows changes.
        end: when it ends, seconds since 1970.
        csrf: what a change has to bring along, which other sites cannot know.
        client: the services, called in the user's name.
        by_cookie: False for a program that shows its delegation with each request.
        checked: when a service last accepted the delegation, by the monotonic clock.
    """

    user: str
    may_change: bool
    end: float
    client: Kadeploy
    by_cookie: bool
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    checked: float = 0.0


class Sessions:
    """All sessions of this process; they end with it."""

    def __init__(self, client: Callable[[], Kadeploy], *, https: bool) -> None:
        """Has nobody yet.

        Args:
            client: returns what the services are called with.
            https: whether cookies are for TLS alone.
        """
        self._client = client
        self._https = https
        self._cookie = "__Host-kadeploy" if https else "kadeploy"
        self._sessions: dict[str, Session] = {}

    def of(self, request: Request) -> Session | None:
        """Returns who has logged in on a request's behalf, if their delegation has not ended."""
        session = self._sessions.get(self._key(request))
        return session if session is not None and session.end > time.time() else None

    async def recognise(self, request: Request) -> Session | None:
        """As `of`; takes the delegation of a program in, and asks a service again where that was long ago."""
        token = _bearer(request)
        if token and self._key(request) not in self._sessions:
            await self._enter(self._key(request), token, by_cookie=False)
        session = self.of(request)
        if session is not None and time.monotonic() - session.checked > RECHECK_SECONDS:
            await self._check(session)
        return session

    async def log_in(self, token: str, response: Callable[[Session], Response]) -> Response:
        """Returns the answer to a user who has given a delegation, with their cookie.

        Raises:
            BadLogin: it is no delegation.
            RemoteError: a service does not accept it, or does not answer.
        """
        key = secrets.token_urlsafe(32)
        session = await self._enter(key, token, by_cookie=True)
        answer = response(session)
        answer.set_cookie(
            self._cookie,
            key,
            max_age=max(1, int(session.end - time.time())),
            httponly=True,
            secure=self._https,
            samesite="strict",
            path="/",
        )
        return answer

    def log_out(self, request: Request, response: Response) -> Response:
        """Forgets a session and its delegation."""
        self._sessions.pop(self._key(request), None)
        response.delete_cookie(self._cookie, path="/", secure=self._https, httponly=True, samesite="strict")
        return response

    def forget(self, request: Request) -> None:
        """Forgets a session whose delegation a service has refused."""
        self._sessions.pop(self._key(request), None)

    def _key(self, request: Request) -> str:
        token = _bearer(request)
        if token:
            return "bearer " + hashlib.sha256(token.encode()).hexdigest()
        return request.cookies.get(self._cookie, "")

    async def _enter(self, key: str, token: str, *, by_cookie: bool) -> Session:
        if not token or len(token) > LONGEST_BYTES or not token.isascii() or not token.isprintable():
            raise BadLogin("this is no login: `ka web login` prints one")
        claims = unchecked_claims(token)
        if claims is None:
            raise BadLogin("this is no login: `ka web login` prints one")
        client = self._client().with_metadata((METADATA_KEY, token))
        user, may_change, end = claims
        session = Session(user=user, may_change=may_change, end=end, client=client, by_cookie=by_cookie)
        await self._check(session)
        self._make_room()
        self._sessions[key] = session
        return session

    async def _check(self, session: Session) -> None:
        """Asks a service whether it accepts a session's delegation. Raises RemoteError if it does not."""
        await asyncio.to_thread(lambda: next(session.client.rights(), None))
        session.checked = time.monotonic()

    def _make_room(self) -> None:
        now = time.time()
        for key in [key for key, session in self._sessions.items() if session.end <= now]:
            del self._sessions[key]
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
