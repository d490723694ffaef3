"""The health of a service, by the protocol of grpc.health.v1: it serves until it begins to stop.

As gRPC's own servicer, but that no watcher who does not read can hold up the others.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy_edge.errors import Missing

VERSION_KEY = "kadeploy-version"
"""The metadata in which a server says its version with each check of its health."""
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class UnknownService(Missing):
    """The server has no service of this name."""

    reason = "UNKNOWN_SERVICE"


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # the stubs have no types
    """Says whether services serve. The name "" is the whole server."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(("", *names))
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """From now on nothing serves any more."""
        self._stopping.set()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - named by the contract
        """Returns the state of a service, or raises UnknownService."""
        if request.service not in self._names:
            raise UnknownService(f"there is no service {request.service[:80]!r}")
        await context.send_initial_metadata(((VERSION_KEY, version("kadeploy-edge")),))
        return health_pb2.HealthCheckResponse(status=NOT_SERVING if self._stopping.is_set() else SERVING)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802 - as above
        """Gives the state of a service, and each that follows."""
        known = request.service in self._names
        if not self._stopping.is_set():
            yield health_pb2.HealthCheckResponse(status=SERVING if known else UNKNOWN)
            await self._stopping.wait()
        yield health_pb2.HealthCheckResponse(status=NOT_SERVING if known else UNKNOWN)
