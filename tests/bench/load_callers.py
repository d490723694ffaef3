"""Callers for `make bench-load`: watchers of one deployment, and calls at a rate, over mutual TLS."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.channel import open_aio_channel
from kadeploy_edge.status import RemoteError, from_rpc_error
from tests.tls_site import TlsSite

CALL_SECONDS = 30.0
Call = Callable[[], Awaitable[Any]]


@dataclass(kw_only=True)
class Tally:
    """What became of the calls: the seconds that each took, and those that failed, by reason."""

    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    messages: int = 0

    async def count(self, call: Call) -> None:
        """Makes one call and counts it."""
        begun = time.monotonic()
        try:
            await call()
        except grpc.RpcError as error:
            remote = from_rpc_error(error)
            self.failures[_name(remote)] += 1
        else:
            self.seconds.append(time.monotonic() - begun)


async def watch(site: TlsSite, user: str, deployment_id: str, tally: Tally, ready: "asyncio.Queue[None]") -> None:
    """Watches a deployment over a connection of its own, until it is cancelled or the deployment ends."""
    async with open_aio_channel(site.addresses["deployer"], caller="", tls=site.files(user)) as channel:
        stub = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
        request = deployer_service_pb2.WatchDeploymentRequest(id=deployment_id)
        try:
            first = True
            async for _ in stub.WatchDeployment(request):
                tally.messages += 1
                if first:
                    ready.put_nowait(None)
                    first = False
        except grpc.RpcError as error:
            remote = from_rpc_error(error)
            tally.failures[f"watch {_name(remote)}"] += 1


def _name(remote: RemoteError) -> str:
    """Returns the code and the reason; where the service gave none, what gRPC says of the connection."""
    return f"{remote.code.name} {remote.reason or remote.message[:200]}"


def reads(deployer: grpc.aio.Channel, inventory: grpc.aio.Channel, deployment_id: str) -> Sequence[Call]:
    """Returns the calls that are made in turn: what commands and pages ask for."""
    deployments = deployer_service_pb2_grpc.DeploymentServiceStub(deployer)
    states = deployer_service_pb2_grpc.ClusterStateServiceStub(deployer)
    nodes = inventory_service_pb2_grpc.NodeServiceStub(inventory)
    environments = inventory_service_pb2_grpc.EnvironmentServiceStub(inventory)
    wanted = (
        (deployments.GetDeployment, deployer_service_pb2.GetDeploymentRequest(id=deployment_id)),
        (nodes.GetNode, inventory_service_pb2.GetNodeRequest(name="node-1")),
        (deployments.ListDeployments, deployer_service_pb2.ListDeploymentsRequest(page_size=10)),
        (environments.ListEnvironments, inventory_service_pb2.ListEnvironmentsRequest(page_size=10)),
        (states.ListNodeStates, deployer_service_pb2.ListNodeStatesRequest(page_size=10)),
    )

    def bound(method: Any, request: Any) -> Call:
        return lambda: method(request, timeout=CALL_SECONDS)

    return [bound(method, request) for method, request in wanted]


async def call_at_rate(calls: Sequence[Call], tally: Tally, *, per_second: float, seconds: float) -> None:
    """Begins calls at even distances, whether those before have ended or not."""
    begun = time.monotonic()
    running: set[asyncio.Task[None]] = set()
    for number in range(int(per_second * seconds)):
        ahead = begun + number / per_second - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        task = asyncio.create_task(tally.count(calls[number % len(calls)]))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
