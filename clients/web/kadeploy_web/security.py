"""What keeps other sites and other people's texts out of the page: headers, host names, and the origin of changes.

The page is one document of its own, whose parts come from this server alone: the policy allows nothing else, no inline
script and no inline style, and in no frame.
"""

from collections.abc import Set as AbstractSet

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kadeploy_web.answers import problem

DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in DIRECTIVES.items()),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
TWO_YEARS = 63_072_000
SAFE_METHODS = frozenset({"GET", "HEAD"})
MISDIRECTED, FORBIDDEN = 421, 403


class SecurityMiddleware:
    """Refuses calls under foreign host names and changes that come from other origins; adds the headers to the rest."""

    def __init__(self, app: ASGIApp, *, hosts: AbstractSet[str], https: bool) -> None:
        """Wraps an application.

        Args:
            app: that is wrapped.
            hosts: the names by which the page may be called, without a port.
            https: whether the page is served over TLS.
        """
        self._app = app
        self._hosts = hosts
        self._scheme = "https" if https else "http"
        self._headers = dict(HEADERS)
        if https:
            self._headers["Strict-Transport-Security"] = f"max-age={TWO_YEARS}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _without_port(host) not in self._hosts:
            # A name of somebody else's that leads here: the browser would take us for that site (DNS rebinding).
            answer = problem(
                MISDIRECTED, "the page is not served under this host name; the setting `hosts` lists its names"
            )
            await answer(scope, receive, send_with_headers)
        elif scope["method"] not in SAFE_METHODS and headers.get("origin") != f"{self._scheme}://{host}":
            answer = problem(FORBIDDEN, "a change must come from the page itself", reason="FOREIGN_ORIGIN")
            await answer(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isascii() and port.isdigit() else host
