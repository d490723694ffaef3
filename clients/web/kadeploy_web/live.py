"""What is followed as it changes, as server-sent events."""

import math
import time
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from kadeploy_web.answers import problem, remote_problem
from kadeploy_web.deployment_feed import RELOAD, DeploymentFeed
from kadeploy_web.event_stream import HEARTBEAT, event
from kadeploy_web.feeds import TooManyFeeds
from kadeploy_web.parts import Parts, parts_of

UNAVAILABLE = 503
LONGEST_SECONDS = 300.0
BUSY = "the page has as many live views as its setting `streams` allows; try again later"


async def overview_events(request: Request) -> Response:
    """Follows the nodes and the running deployments."""
    parts = parts_of(request)
    if parts.streams.full:
        return problem(UNAVAILABLE, BUSY, reason="TOO_MANY_STREAMS")
    return parts.streams.response(_overview(parts))


async def deployment_events(request: Request) -> Response:
    """Follows one deployment; begins with everything that is known of it."""
    parts = parts_of(request)
    if parts.streams.full:
        return problem(UNAVAILABLE, BUSY, reason="TOO_MANY_STREAMS")
    deployment_id = request.path_params["id"]
    try:
        # A deployment that nobody knows is an answer, not a stream.
        async with parts.feeds.open(deployment_id) as feed:
            if feed.error is not None and not feed.head:
                return remote_problem(feed.error)
    except TooManyFeeds:
        return problem(UNAVAILABLE, BUSY, reason="TOO_MANY_STREAMS")
    return parts.streams.response(_deployment(parts, deployment_id))


async def _overview(parts: Parts) -> AsyncIterator[str]:
    until = _end_of_stream(parts)
    with parts.overview.subscribed() as queue:
        while time.monotonic() < until:
            kind, item = await parts.streams.next_item(queue)
            if kind == "stop":
                return
            yield event(*item) if kind == "item" else HEARTBEAT


async def _deployment(parts: Parts, deployment_id: str) -> AsyncIterator[str]:
    until = _end_of_stream(parts)
    async with parts.feeds.open(deployment_id) as feed:
        queue = feed.subscribe()
        try:
            yield event("snapshot", feed.snapshot())
            while not feed.ended.is_set() or not queue.empty():
                if time.monotonic() > until:
                    return
                kind, item = await parts.streams.next_item(queue)
                if kind == "stop":
                    return
                if kind == "heartbeat":
                    yield HEARTBEAT
                elif item is None:
                    break
                elif item == RELOAD:
                    yield event("snapshot", feed.snapshot())
                else:
                    yield event("change", item)
        finally:
            feed.unsubscribe(queue)
        yield event("end", _end(feed))


def _end_of_stream(parts: Parts) -> float:
    """Returns when a stream has to be opened anew, by the monotonic clock: its reader is looked at again then."""
    return time.monotonic() + LONGEST_SECONDS if parts.users_only else math.inf


def _end(feed: DeploymentFeed) -> dict[str, str]:
    return {"trouble": feed.error.message if feed.error is not None else ""}
