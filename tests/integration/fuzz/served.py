"""The three services, each served for all of its fuzzed calls, furnished with a little of everything."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from sqlalchemy import Engine, func, or_, select

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy.inventory.v1 import cluster_pb2, inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_deployer import service as deployer
from kadeploy_deployer.adapters.inventory_grpc import GrpcInventory
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.store import tables
from kadeploy_edge.channel import open_channel
from kadeploy_edge.server import ServerSettings, start_server
from tests.fakes.deployment_world import WallClock, World, make_database
from tests.fakes.fake_boot import FakeBoot
from tests.fakes.fake_broadcast import FakeBroadcast
from tests.fakes.fake_console import FakeConsole
from tests.fakes.fake_image_store import FakeImageStore
from tests.fakes.fake_power import FakePower
from tests.fakes.scripted_remote_shell import ScriptedRemoteShell
from tests.fakes.scripted_step import straight_plan
from tests.integration.bootctl.conftest import digest_of, make_bed, serving_bootctl
from tests.integration.inventory.conftest import Site, serving
from tests.integration.inventory.database_content import everything
from tests.integration.inventory.requests import a_node, an_environment, recording, registering

CONTRACTS: Mapping[str, tuple[Any, Any]] = {
    "inventory": (inventory_service_pb2, inventory_service_pb2_grpc),
    "deployer": (deployer_service_pb2, deployer_service_pb2_grpc),
    "bootctl": (bootctl_service_pb2, bootctl_service_pb2_grpc),
}
CALLERS = ("user:root", "user:alice", "user:bob", "deployer")
SECONDS = 20.0
HURRY = 1000


@dataclass(kw_only=True)
class Served:
    """One service that runs.

    Attributes:
        service: its name.
        address: where it answers.
        content: returns all that it keeps, to be compared.
        furnish: puts back what calls took away.
        settle: returns when nothing goes on any more.
        known: the content as it was seen last; None since a call changed it.
    """

    def furnished(self) -> Sequence[tuple[str, Any]]:
        """Returns the content, furnished anew when a call changed it."""
        if self.known is None:
            self.furnish()
            self.settle()
            self.known = self.content()
        return self.known

    service: str
    address: str
    content: Callable[[], Sequence[tuple[str, Any]]]
    furnish: Callable[[], None] = lambda: None
    settle: Callable[[], None] = lambda: None
    known: Sequence[tuple[str, Any]] | None = None
    _channels: dict[str, grpc.Channel] = field(default_factory=dict)

    def method(self, descriptor: Any, caller: str) -> Any:
        """Returns a method of the service as a caller reaches it."""
        if caller not in self._channels:
            self._channels[caller] = open_channel(self.address, caller=caller)
        stub = getattr(CONTRACTS[self.service][1], f"{descriptor.containing_service.name}Stub")
        return getattr(stub(self._channels[caller]), descriptor.name)

    def close(self) -> None:
        """Closes the channels."""
        for channel in self._channels.values():
            channel.close()


class HurriedClock(WallClock):
    """A thousand seconds of waiting in one: machines that never come up are given up at once."""

    def monotonic(self) -> float:
        """As in the port."""
        return time.monotonic() * HURRY

    async def sleep(self, seconds: float) -> None:
        """As in the port."""
        await asyncio.sleep(seconds / HURRY)


def well_formed(descriptor: Any) -> Message | None:
    """Returns a request that is answered, to be spoilt; None for a method that has none here."""
    make = WELL_FORMED.get(descriptor.name)
    return make() if make else None


SPEC = deployment_pb2.DeploymentSpec(nodes="node-[1-2]", environment_name="debian", device="sda", partition=3)
ENTRY = boot_entry_pb2.BootEntry(
    node=boot_entry_pb2.BootNode(
        name="node-1",
        mac_address="52:54:00:00:00:01",
        ip_address="10.0.0.1",
        firmware=boot_entry_pb2.BOOT_FIRMWARE_BIOS,
    ),
    target=boot_entry_pb2.BootTarget(local_disk=boot_entry_pb2.LocalDiskTarget()),
    owner="d1",
)
CONTENT = b"a kernel"
WELL_FORMED: Mapping[str, Callable[[], Message]] = {
    "RegisterNodes": lambda: registering(a_node(1), a_node(7)),
    "UpdateNode": lambda: inventory_service_pb2.UpdateNodeRequest(
        node=a_node(1), update_mask=FieldMask(paths=["disks", "labels"])
    ),
    "DeleteNodes": lambda: inventory_service_pb2.DeleteNodesRequest(nodes="node-[1-9]"),
    "CreateCluster": lambda: inventory_service_pb2.CreateClusterRequest(cluster=cluster_pb2.Cluster(name="new")),
    "UpdateCluster": lambda: inventory_service_pb2.UpdateClusterRequest(
        cluster=cluster_pb2.Cluster(name="big"), update_mask=FieldMask(paths=["profile"])
    ),
    "RecordEnvironment": lambda: recording(an_environment("ubuntu")),
    "UpdateEnvironment": lambda: inventory_service_pb2.UpdateEnvironmentRequest(
        environment=an_environment(), update_mask=FieldMask(paths=["image"])
    ),
    "GrantRights": lambda: inventory_service_pb2.GrantRightsRequest(
        users=["alice"], nodes="node-[1-2]", partitions=["sda3"]
    ),
    "RevokeRights": lambda: inventory_service_pb2.RevokeRightsRequest(users=["bob"], nodes="*", partitions=["*"]),
    "CreateDeployment": lambda: deployer_service_pb2.CreateDeploymentRequest(spec=SPEC),
    "PlanDeployment": lambda: deployer_service_pb2.PlanDeploymentRequest(spec=SPEC),
    "RebootNodes": lambda: deployer_service_pb2.RebootNodesRequest(
        nodes="node-[1-2]", simple=deployer_service_pb2.SimpleReboot()
    ),
    "SetPower": lambda: deployer_service_pb2.SetPowerRequest(
        nodes="node-[1-2]", action=deployer_service_pb2.POWER_ACTION_OFF
    ),
    "GetPower": lambda: deployer_service_pb2.GetPowerRequest(nodes="node-[1-2]"),
    "RunCommand": lambda: deployer_service_pb2.RunCommandRequest(nodes="node-[1-2]", arguments=["true"]),
    "AttachConsole": lambda: deployer_service_pb2.AttachConsoleRequest(
        target=deployer_service_pb2.ConsoleTarget(node="node-1")
    ),
    "SetBootEntries": lambda: bootctl_service_pb2.SetBootEntriesRequest(entries=[ENTRY]),
    "RenderBootEntries": lambda: bootctl_service_pb2.RenderBootEntriesRequest(entries=[ENTRY]),
    "UploadBootFile": lambda: bootctl_service_pb2.UploadBootFileRequest(
        header=bootctl_service_pb2.BootFileHeader(digest=digest_of(CONTENT), size_bytes=len(CONTENT), description="a")
    ),
}


@contextmanager
def served_inventory(engines: dict[str, Engine], directory: Path) -> Iterator[Served]:
    """Serves an inventory with nodes, clusters, an environment and rights."""
    with serving(engines, directory) as site:
        site.root.clusters.CreateCluster(
            inventory_service_pb2.CreateClusterRequest(cluster=cluster_pb2.Cluster(name="big"))
        )
        furnish_inventory(site)
        made = Served(
            service="inventory",
            address=site.address,
            content=lambda: everything(engines),
            furnish=lambda: furnish_inventory(site),
        )
        yield made
        made.close()


def furnish_inventory(site: Site) -> None:
    """Registers, records and grants what is not there any more. Fuzzed calls may have put others in its place."""
    wanted: tuple[tuple[Any, Message], ...] = (
        (site.root.nodes.RegisterNodes, registering(a_node(1), a_node(2))),
        (site.root.environments.RecordEnvironment, recording(an_environment(visibility=3))),
        *(
            (
                site.root.rights.GrantRights,
                inventory_service_pb2.GrantRightsRequest(users=[user], nodes="*", partitions=["*"]),
            )
            for user in ("alice", "bob")
        ),
    )
    for call, request in wanted:
        with contextlib.suppress(grpc.RpcError):
            call(request, timeout=SECONDS)


@contextmanager
def served_deployer(inventory: Served, directory: Path) -> Iterator[Served]:
    """Serves a deployer that asks a real inventory; its steps, and what it does to nodes, are scripted."""
    database = make_database(directory)
    bound: list[str] = []
    ready, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        images = FakeImageStore(directory)
        images.add("file:///srv/debian.tar.zst", b"an image")
        ports = StepPorts(
            shell=ScriptedRemoteShell(),
            power=FakePower(),
            boot=FakeBoot(),
            images=images,
            broadcast=FakeBroadcast(),
            clock=HurriedClock(),
        )
        world = World(database=database, plan=straight_plan(), ports=ports)
        resolver, console = GrpcInventory(inventory.address), FakeConsole(b"")
        async with deployer.run_parts(
            database, world.settings, resolver, console=console, lease_seconds=30.0 * HURRY
        ) as parts:
            server, address = await start_server(
                deployer.registration(parts, frozenset({"root"})),
                ServerSettings(
                    service=deployer.SERVICE, address=f"unix:{directory}/d", service_names=deployer.SERVICE_NAMES
                ),
            )
            bound.append(address)
            ready.set()
            await asyncio.to_thread(ended.wait)
            parts.log.close()
            await server.stop(grace=1)
        await resolver.close()

    def settle() -> None:
        running = select(func.count()).where(
            or_(tables.deployments.c.state == "waiting", tables.deployments.c.state == "deploying")
        )
        holding = select(func.count()).select_from(tables.node_locks)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with database.engine.connect() as connection:
                if not connection.execute(running).scalar_one() and not connection.execute(holding).scalar_one():
                    return
            time.sleep(0.01)
        raise AssertionError("a deployment or an operation does not end")

    def content() -> Sequence[tuple[str, Any]]:
        with database.engine.connect() as connection:
            return [
                (table.name, repr(row))
                for table in tables.metadata.sorted_tables
                for row in sorted(connection.execute(select(table)), key=repr)
            ]

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(SECONDS)
    made = Served(service="deployer", address=bound[0], content=content, settle=settle, furnish=inventory.furnish)
    yield made
    made.close()
    ended.set()
    thread.join(SECONDS)
    database.close()


@contextmanager
def served_bootctl(directory: Path) -> Iterator[Served]:
    """Serves a bootctl with one entry."""
    bed = make_bed(directory)
    assert bed.run("init") == 0
    kernel, initrd = str(bed.directory / "kernel"), str(bed.directory / "initrd")
    assert bed.run("label", "install", "deploy", "--kernel", kernel, "--initrd", initrd) == 0

    def content() -> Sequence[tuple[str, Any]]:
        return sorted((str(path), path.read_bytes()) for path in bed.tftp_root.rglob("*") if path.is_file())

    with serving_bootctl(bed) as connect:
        stubs = connect("deployer")

        def furnish() -> None:
            stubs.set(ENTRY)

        made = Served(
            service="bootctl",
            address=f"unix:{bed.directory}/s",
            content=content,
            furnish=furnish,
        )
        yield made
        made.close()
