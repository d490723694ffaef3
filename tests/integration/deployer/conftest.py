"""A real gRPC server on a Unix socket around a real database; inventory and steps are fakes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kadeploy.deployer.v1 import deployer_service_pb2_grpc
from kadeploy_deployer import service
from kadeploy_rpckit.channel import open_aio_channel
from kadeploy_rpckit.server import start_aio
from tests.fakes.deployment_world import World, make_database
from tests.fakes.scripted_step import ScriptedStep, straight_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A served deployer, its world behind the scenes, and stubs by caller."""

    world: World
    plan: list[ScriptedStep]
    deployments: Callable[[str], "deployer_service_pb2_grpc.DeploymentServiceAsyncStub"]
    states: "deployer_service_pb2_grpc.ClusterStateServiceAsyncStub"
    control: "deployer_service_pb2_grpc.NodeControlServiceAsyncStub"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Serves; ends everything at the end."""
    database = make_database(tmp_path)
    plan = straight_plan()
    world = World(database=database, plan=plan)
    address = f"unix:{tmp_path / 'deployer.sock'}"
    async with service.run_parts(database, world.settings, world.inventory, lease_seconds=30.0) as parts:
        server, _ = await start_aio(
            service.registration(parts, frozenset({"root"})),
            service=service.SERVICE,
            address=address,
            service_names=service.SERVICE_NAMES,
        )
        channels = {name: open_aio_channel(address, caller=name) for name in ("user:alice", "user:bob", "user:root")}
        yield Site(
            world=world,
            plan=plan,
            deployments=lambda name: deployer_service_pb2_grpc.DeploymentServiceStub(channels[f"user:{name}"]),
            states=deployer_service_pb2_grpc.ClusterStateServiceStub(channels["user:alice"]),
            control=deployer_service_pb2_grpc.NodeControlServiceStub(channels["user:alice"]),
        )
        for channel in channels.values():
            await channel.close()
        parts.log.close()
        await server.stop(grace=1)
    database.close()
