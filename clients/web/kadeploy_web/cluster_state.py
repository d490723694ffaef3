"""The nodes and their states: read from the services once, for however many readers, and what changed since."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_api import Kadeploy
from kadeploy_web.answers import seconds, word

IDLE, OPERATION = "idle", "operation"
"""States of nodes beside those of partitions: nothing was ever deployed there; an operation holds it."""

FRESH_SECONDS = 2.0
# The nodes themselves seldom change.
NODES_SECONDS = 10.0
# Reading may take so much of the time: each part of a large cluster's lists costs the services something.
LARGEST_SHARE = 0.2

Row = tuple[str, str, str, str, str]
"""Node, state, deployment, environment, reason of the failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """The site at one moment.

    Attributes:
        time: seconds since 1970.
        clusters: the names of the nodes of each cluster, in the order of node sets.
        rows: by node.
    """

    time: float
    clusters: Mapping[str, Sequence[str]]
    rows: Mapping[str, Row]


class ClusterReader:
    """Keeps the last state that was read. All its readers share one refresh."""

    def __init__(self, client: Callable[[], Kadeploy], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Reads nothing yet.

        Args:
            client: returns what the services are called with.
            clock: seconds that never go back.
        """
        self._client = client
        self._clock = clock
        self._lock = asyncio.Lock()
        self._state: ClusterState | None = None
        self._next = 0.0
        self._clusters: dict[str, list[str]] = {}
        self._clusters_until = 0.0

    @property
    def pause(self) -> float:
        """Seconds until the next refresh is due."""
        return max(0.0, self._next - self._clock())

    async def read(self) -> ClusterState:
        """Returns the state, at most a few seconds old. Raises RemoteError when it has to be read and cannot be."""
        async with self._lock:
            if self._state is None or self._clock() >= self._next:
                began = self._clock()
                self._state = await asyncio.to_thread(self._refresh)
                took = self._clock() - began
                self._next = self._clock() + max(FRESH_SECONDS, took / LARGEST_SHARE)
            return self._state

    def _refresh(self) -> ClusterState:
        client = self._client()
        if self._clock() >= self._clusters_until:
            clusters: dict[str, list[str]] = {}
            for node in client.nodes():
                clusters.setdefault(node.cluster, []).append(node.name)
            self._clusters = clusters
            self._clusters_until = self._clock() + NODES_SECONDS
        holders = {state.node: state for state in client.node_states()}
        latest: dict[str, deployer_service_pb2.PartitionStatus] = {}
        for status in client.partition_states():
            known = latest.get(status.node)
            if known is None or known.update_time.ToNanoseconds() < status.update_time.ToNanoseconds():
                latest[status.node] = status
        rows = {
            name: _row(name, latest.get(name), holders.get(name)) for names in self._clusters.values() for name in names
        }
        return ClusterState(time=time.time(), clusters=self._clusters, rows=rows)


def changed_rows(before: ClusterState, after: ClusterState) -> list[Row] | None:
    """Returns the rows that are new; None where nodes came or went, so that everything has to be read anew."""
    if before.clusters != after.clusters:
        return None
    return [row for name, row in after.rows.items() if row != before.rows[name]]


def _row(
    name: str, status: deployer_service_pb2.PartitionStatus | None, holder: deployer_service_pb2.NodeState | None
) -> Row:
    held_by = holder.held_by if holder is not None else ""
    if held_by and (status is None or held_by != status.deployment_id):
        return (name, OPERATION, held_by, "", "")
    if status is None:
        return (name, IDLE, "", "", "")
    environment = f"{status.environment.name} {status.environment.version}" if status.environment.name else ""
    return (
        name,
        word(deployment_pb2.PartitionState.DESCRIPTOR, status.state) or IDLE,
        status.deployment_id,
        environment,
        word(deployment_pb2.FailureReason.DESCRIPTOR, status.reason),
    )


def partition_dict(status: deployer_service_pb2.PartitionStatus) -> dict[str, object]:
    """Returns a partition's state for the page."""
    return {
        "node": status.node,
        "device": status.device,
        "partition": status.partition,
        "state": word(deployment_pb2.PartitionState.DESCRIPTOR, status.state),
        "environment": f"{status.environment.name} {status.environment.version}" if status.environment.name else "",
        "deployment": status.deployment_id,
        "owner": status.owner,
        "reason": word(deployment_pb2.FailureReason.DESCRIPTOR, status.reason),
        "description": status.description,
        "time": seconds(status.update_time),
    }
