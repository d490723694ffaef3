"""Keeps the connections of a service within their limits: looks at them again and again, and ends what is too much."""

import asyncio
import concurrent.futures
import logging
import resource
from collections import Counter
from collections.abc import Sequence

from kadeploy_edge.connection_table import ConnectionTable
from kadeploy_edge.own_sockets import ConnectionList, OpenConnection, end_connection

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
LOOK_AGAIN_SECONDS = 0.1
"""After some had to end: whoever opened them may go on."""
MOST_ACCEPTED = 1_000_000
OTHER_FILES = 256
"""What a service has open besides its connections: databases, logs, sessions with nodes."""


def raise_file_limit() -> None:
    """Lets the process open as many files as it may; ordinary limits are made for programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        # A unit that filters system calls sets the limit itself.
        logger.info("the limit of %d open files stays: %s", soft, error)


def acceptable_connections() -> int:
    """Returns how many connections the process has files for. gRPC ends what comes beyond, whoever it is."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_ACCEPTED if files == resource.RLIM_INFINITY else max(2, min(MOST_ACCEPTED, files - OTHER_FILES))


def affordable_connections(wanted: int) -> int:
    """Returns how many connections may stand, at most as many as wanted.

    There are files for twice as many: those who come in a crowd are accepted before it is decided who has to go.
    """
    most = acceptable_connections() // 2
    if wanted > most:
        logger.warning("connections=%d are too many for this limit of open files: %d may stand", wanted, most)
    return min(wanted, most)


class ConnectionGuard:
    """Ends connections until they are few enough."""

    def __init__(self, table: ConnectionTable, port: int) -> None:
        """Does nothing yet.

        Args:
            table: decides which.
            port: that the service listens on.
        """
        self._table = table
        self._list = ConnectionList(port)
        # Its own thread: others may be busy just when this one is needed.
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="connections")

    async def look(self) -> float:
        """Looks at the connections once, and ends what is too much. Returns the seconds until it should look again."""
        found = await asyncio.get_running_loop().run_in_executor(self._thread, self._list.read)
        superfluous = self._table.superfluous(found)
        self._end(superfluous, of=len(found))
        return LOOK_AGAIN_SECONDS if superfluous else LOOK_SECONDS

    def _end(self, connections: Sequence[OpenConnection], *, of: int) -> None:
        for connection in connections:
            end_connection(connection)
        # One line for each address, however many come from it.
        for host, count in Counter(connection.peer.host for connection in connections).items():
            logger.warning("peer=%s connections=%d of=%d are ended", host, count, of)
