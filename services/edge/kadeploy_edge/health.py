"""The health of a service, by the protocol of grpc.health.v1, and of each thing that it depends on.

As gRPC's own servicer, but that no watcher who does not read can hold up the others. The protocol has no room for a
reason: it comes as trailing metadata of `Check`, in the key of REASON_KEY.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy_edge.dependencies import Dependency, DependencyWatch
from kadeploy_edge.errors import Missing

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

VERSION_KEY = "kadeploy-version"
"""The metadata in which a server says its version with each check of its health."""
TIME_KEY = "kadeploy-time"
"""The metadata in which it says its host's time, in seconds since 1970."""
REASON_KEY = "kadeploy-health"
"""The metadata in which it says why something does not serve."""
LONGEST_REASON = 500
STOPPING = "the service is being stopped"


class UnknownService(Missing):
    """The server has no service of this name."""

    reason = "UNKNOWN_SERVICE"


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # the stubs have no types
    """Says whether services serve, and whether what they depend on is there. The name "" is the whole server."""

    def __init__(self, names: Sequence[str], dependencies: Sequence[Dependency] = ()) -> None:
        self._services = frozenset(("", *names))
        self._stopping = False
        self._changed = asyncio.Event()
        self.dependencies = DependencyWatch(dependencies, self._wake)

    def stop(self) -> None:
        """From now on nothing serves any more."""
        self._stopping = True
        self._wake()

    @property
    def problem(self) -> str:
        """Why the service does not serve; empty: it does."""
        return STOPPING if self._stopping else self.dependencies.problem()

    def problem_of(self, name: str) -> str:
        """Returns why a dependency, or for no name the service, is not as it should be; empty: it is."""
        return self.dependencies.problem(name) if name else self.problem

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - named by the contract
        """Returns the state of a service or dependency, or raises UnknownService."""
        if not self._is_known(request.service):
            raise UnknownService(f"there is no service {request.service[:80]!r}")
        now = f"{time.time():.3f}"
        await context.send_initial_metadata(((VERSION_KEY, version("kadeploy-edge")), (TIME_KEY, now)))
        problem = self._problem_of(request.service)
        if problem:
            reason = problem.encode("ascii", "replace").decode("ascii").replace("\n", " ")
            context.set_trailing_metadata(((REASON_KEY, reason[:LONGEST_REASON]),))
        return health_pb2.HealthCheckResponse(status=self._state_of(request.service))

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802 - as above
        """Gives the state of a service or dependency, and each that follows."""
        said = None
        while True:
            changed, is_last = self._changed, self._stopping
            state = self._state_of(request.service)
            if state != said or is_last:
                said = state
                yield health_pb2.HealthCheckResponse(status=state)
            if is_last:
                return
            await changed.wait()

    def _is_known(self, name: str) -> bool:
        return name in self._services or name in self.dependencies.names

    def _problem_of(self, name: str) -> str:
        if self._stopping:
            return STOPPING
        return self.dependencies.problem("" if name in self._services else name)

    def _state_of(self, name: str) -> int:
        if not self._is_known(name):
            return int(UNKNOWN)
        return int(NOT_SERVING if self._problem_of(name) else SERVING)

    def _wake(self) -> None:
        """Lets every watcher look again."""
        self._changed.set()
        self._changed = asyncio.Event()
