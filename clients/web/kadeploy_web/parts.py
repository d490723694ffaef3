"""What the routes share."""

from dataclasses import dataclass

from starlette.requests import Request

from kadeploy_web.client_holder import ClientHolder
from kadeploy_web.cluster_state import ClusterReader
from kadeploy_web.event_stream import Streams
from kadeploy_web.feeds import Feeds, Overview
from kadeploy_web.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is made once per process.

    Attributes:
        client: returns what the services are called with on the page's own behalf.
        cluster: the nodes and their states.
        feeds: the deployments that are watched.
        overview: what the first page follows.
        streams: the event streams that are open.
        sessions: the users who have logged in.
        users_only: whether nobody else may read.
    """

    client: ClientHolder
    cluster: ClusterReader
    feeds: Feeds
    overview: Overview
    streams: Streams
    sessions: Sessions
    users_only: bool


def parts_of(request: Request) -> Parts:
    """Returns the parts of the application that a request came to."""
    parts: Parts = request.app.state.parts
    return parts
