"""A real gRPC server on a Unix socket around a real database; inventory, steps and the world of the nodes are fakes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kadeploy.deployer.v1 import deployer_service_pb2_grpc
from kadeploy_deployer import service
from kadeploy_deployer.adapters.upload_store import UploadStore
from kadeploy_deployer.domain.snapshot import CommandSnapshot
from kadeploy_deployer.ports import Console, ResolvedNode
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_edge.channel import open_aio_channel
from kadeploy_edge.server import ServerSettings, start_server
from tests.fakes.deployment_world import WallClock, World, make_database, node, resolution
from tests.fakes.fake_boot import FakeBoot
from tests.fakes.fake_broadcast import FakeBroadcast
from tests.fakes.fake_console import FakeConsole
from tests.fakes.fake_image_store import FakeImageStore
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.fake_power import FakePower
from tests.fakes.scripted_remote_shell import ScriptedRemoteShell
from tests.fakes.scripted_step import ScriptedStep, straight_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A served deployer, its world behind the scenes, and stubs by caller."""

    world: World
    plan: list[ScriptedStep]
    shell: ScriptedRemoteShell
    power: FakePower
    boot: FakeBoot
    deployments: Callable[[str], "deployer_service_pb2_grpc.DeploymentServiceAsyncStub"]
    states: "deployer_service_pb2_grpc.ClusterStateServiceAsyncStub"
    administrator: "deployer_service_pb2_grpc.ClusterStateServiceAsyncStub"
    control: Callable[[str], "deployer_service_pb2_grpc.NodeControlServiceAsyncStub"]
    uploads: Callable[[str], "deployer_service_pb2_grpc.ImageUploadServiceAsyncStub"]
    images: FakeImageStore
    inventory: FakeInventory
    store: DeploymentStore


@pytest.fixture
def console() -> Console:
    """The consoles of the site; a module may have others."""
    return FakeConsole(b"login: ")


@pytest.fixture
async def site(tmp_path: Path, console: Console) -> AsyncIterator[Site]:
    """Serves; ends everything at the end."""
    database = make_database(tmp_path)
    plan = straight_plan()
    shell, power, boot, images = ScriptedRemoteShell(), FakePower(), FakeBoot(), FakeImageStore(tmp_path)
    ports = StepPorts(shell=shell, power=power, boot=boot, images=images, broadcast=FakeBroadcast(), clock=WallClock())
    commands = CommandSnapshot(console=("cat",))
    nodes = [
        ResolvedNode(name=name, snapshot=replace(node(name), commands=commands), allowed=True)
        for name in ("node1", "node2")
    ]
    image = images.add("server:///images/debian.tar.zst", b"an image")
    debian = replace(resolution().environment, image=image, kernel_path="/vmlinuz", initrd_path="/initrd.img")
    inventory = FakeInventory(resolution(nodes=tuple(nodes), environment=debian))
    world = World(database=database, plan=plan, ports=ports, inventory=inventory)
    uploads = UploadStore(tmp_path / "uploads", largest=1 << 30, quota=1 << 31)
    uploads.prepare()
    address = f"unix:{tmp_path / 'deployer.sock'}"
    async with service.run_parts(
        database, world.settings, world.inventory, console=console, lease_seconds=30.0, uploads=uploads
    ) as parts:
        server, _ = await start_server(
            service.registration(parts, frozenset({"root"})),
            ServerSettings(service=service.SERVICE, address=address, service_names=service.SERVICE_NAMES),
        )
        channels = {name: open_aio_channel(address, caller=name) for name in ("user:alice", "user:bob", "user:root")}
        yield Site(
            world=world,
            plan=plan,
            shell=shell,
            power=power,
            boot=boot,
            deployments=lambda name: deployer_service_pb2_grpc.DeploymentServiceStub(channels[f"user:{name}"]),
            states=deployer_service_pb2_grpc.ClusterStateServiceStub(channels["user:alice"]),
            administrator=deployer_service_pb2_grpc.ClusterStateServiceStub(channels["user:root"]),
            control=lambda name: deployer_service_pb2_grpc.NodeControlServiceStub(channels[f"user:{name}"]),
            uploads=lambda name: deployer_service_pb2_grpc.ImageUploadServiceStub(channels[f"user:{name}"]),
            images=images,
            inventory=inventory,
            store=parts.store,
        )
        for channel in channels.values():
            await channel.close()
        parts.log.close()
        await server.stop(grace=1)
    database.close()
