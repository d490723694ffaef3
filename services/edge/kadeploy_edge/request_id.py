"""The id of a request: made by the client, passed on to every service that works on it, and in each line about it."""

import re
import secrets
from contextvars import ContextVar

METADATA_KEY = "kadeploy-request-id"
_FORM = re.compile(r"[A-Za-z0-9._-]{6,64}")

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")
"""Of the call or command that is worked on; empty outside of any."""


def new_request_id() -> str:
    """Returns an id that nobody else has."""
    return secrets.token_hex(6)


def request_id_of(metadata: object) -> str:
    """Returns the id that a caller sent, or a new one where they sent none that could stand in a line of a log."""
    for key, value in metadata or ():  # type: ignore[attr-defined]  # gRPC's pairs
        if key == METADATA_KEY and isinstance(value, str) and _FORM.fullmatch(value):
            return value
    return new_request_id()


def passed_on() -> tuple[tuple[str, str], ...]:
    """Returns the metadata with which another service learns for what a call is made."""
    found = current_request_id.get()
    return ((METADATA_KEY, found),) if found else ()
