"""A right that ends, with a real inventory over gRPC: while a deployment waits, in the middle of it, and for jobs."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy_deployer import service
from kadeploy_deployer.adapters.inventory_grpc import GrpcInventory
from kadeploy_deployer.domain.states import DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.engine import waiting
from kadeploy_edge.channel import open_aio_channel
from kadeploy_edge.server import ServerSettings, start_server
from kadeploy_edge.status import from_rpc_error
from tests.fakes import snapshots
from tests.fakes.deployment_world import World, make_database
from tests.fakes.fake_console import FakeConsole
from tests.fakes.scripted_step import ScriptedStep, straight_plan
from tests.fakes.served_inventory import ServedInventory, served_inventory
from tests.fakes.simulated_site import SimulatedSite

pytestmark = pytest.mark.integration

NAMES = ("node-1", "node-2", "node-3")
PATIENCE = 20.0
Stub = Callable[[str], "deployer_service_pb2_grpc.DeploymentServiceAsyncStub"]


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[ServedInventory]:
    """Yields a real inventory, still without nodes."""
    with served_inventory(tmp_path) as served:
        yield served


@asynccontextmanager
async def served_deployer(directory: Path, inventory: ServedInventory, step: ScriptedStep) -> AsyncIterator[Stub]:
    """Yields stubs by user of a deployer whose second step is given."""
    database = make_database(directory)
    world = World(database=database, plan=straight_plan(write=step))
    resolver = GrpcInventory(inventory.address, insecure=True)
    address = f"unix:{directory / 'deployer.sock'}"
    async with service.run_parts(
        database, world.settings, resolver, console=FakeConsole(), lease_seconds=30.0
    ) as parts:
        server, _ = await start_server(
            service.registration(parts, frozenset({"root"})),
            ServerSettings(service=service.SERVICE, address=address, service_names=service.SERVICE_NAMES),
        )
        channels: dict[str, grpc.aio.Channel] = {}

        def stub(user: str) -> "deployer_service_pb2_grpc.DeploymentServiceAsyncStub":
            if user not in channels:
                channels[user] = open_aio_channel(address, caller=f"user:{user}")
            return deployer_service_pb2_grpc.DeploymentServiceStub(channels[user])

        yield stub
        for channel in channels.values():
            await channel.close()
        parts.log.close()
        await server.stop(grace=1)
    await resolver.close()
    database.close()


def wanting(nodes: str, **more: Any) -> deployer_service_pb2.CreateDeploymentRequest:
    spec = deployment_pb2.DeploymentSpec(nodes=nodes, environment_name="debian", **more)
    return deployer_service_pb2.CreateDeploymentRequest(spec=spec)


def waiting_for(nodes: str) -> deployer_service_pb2.CreateDeploymentRequest:
    return wanting(nodes, busy_policy=deployment_pb2.BUSY_POLICY_WAIT, wait_timeout=Duration(seconds=60))


async def ended(stub: "deployer_service_pb2_grpc.DeploymentServiceAsyncStub", name: str) -> deployment_pb2.Deployment:
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await stub.GetDeployment(deployer_service_pb2.GetDeploymentRequest(id=name))
            if found.HasField("end_time"):
                return found
            await asyncio.sleep(0.05)


async def reason_of(call: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return from_rpc_error(caught.value).reason


async def test_a_right_that_ends_while_a_deployment_waits_opens_no_node(
    tmp_path: Path, inventory: ServedInventory
) -> None:
    inventory.describe(NAMES, snapshots.an_environment().image)
    inventory.grant("dave", "node-2", seconds=2.0)
    step = ScriptedStep("write", holds=asyncio.Event())
    async with served_deployer(tmp_path, inventory, step) as stub:
        holder = await stub("root").CreateDeployment(wanting("node-2"))
        await asyncio.wait_for(step.entered.wait(), PATIENCE)
        waits = await stub("dave").CreateDeployment(waiting_for("node-2"))
        assert waits.state == deployment_pb2.DEPLOYMENT_STATE_WAITING

        await asyncio.sleep(2.5)
        await stub("root").CancelDeployment(deployer_service_pb2.CancelDeploymentRequest(id=holder.id))
        found = await ended(stub("dave"), waits.id)

        assert found.state == deployment_pb2.DEPLOYMENT_STATE_ERROR
        assert [(node.reason, node.step) for node in found.nodes] == [(deployment_pb2.FAILURE_REASON_NO_RIGHT, "")]
        assert "dave has no right on vda3 any more" in found.nodes[0].description
        assert await reason_of(stub("dave").CreateDeployment(wanting("node-2"))) == "RIGHT_MISSING"
        assert step.runs == ["node-2"]


async def test_the_nodes_of_a_job_that_ended_are_those_of_the_next(
    tmp_path: Path, inventory: ServedInventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "ASK_SECONDS", 0.5)
    inventory.describe(NAMES, snapshots.an_environment().image)
    inventory.grant("dave", "node-[1-2]", seconds=3600.0)
    step = ScriptedStep("write", holds=(gate := asyncio.Event()))
    async with served_deployer(tmp_path, inventory, step) as stub:
        await stub("root").CreateDeployment(wanting("node-2"))
        await asyncio.wait_for(step.entered.wait(), PATIENCE)
        daves = await stub("dave").CreateDeployment(waiting_for("node-[1-2]"))

        # The scheduler's epilogue, and the prologue of the next job.
        inventory.revoke("dave", "node-[1-2]")
        inventory.grant("erin", "node-[1-2]", seconds=3600.0)
        erins = asyncio.ensure_future(stub("erin").CreateDeployment(waiting_for("node-[1-2]")))
        lost = await ended(stub("dave"), daves.id)
        gate.set()
        got = await ended(stub("erin"), (await asyncio.wait_for(erins, PATIENCE)).id)

        assert {node.reason for node in lost.nodes} == {deployment_pb2.FAILURE_REASON_NO_RIGHT}
        assert (got.state, got.owner) == (deployment_pb2.DEPLOYMENT_STATE_TERMINATED, "erin")


class RevokingInventory(GrpcInventory):
    """Has a user's right taken away, by its real call, just before rights are asked for once more."""

    def __init__(self, inventory: ServedInventory, *, at: int) -> None:
        super().__init__(inventory.address, insecure=True)
        self._inventory = inventory
        self._left = at

    async def check_rights(self, nodes: str, *, user: str, partition: str = "") -> Mapping[str, bool]:
        """As in the port."""
        self._left -= 1
        if not self._left:
            await asyncio.to_thread(self._inventory.revoke, user, "node-2")
        return await super().check_rights(nodes, user=user, partition=partition)


@pytest.mark.parametrize(
    ("check", "step"), [(1, "boot_deployment_environment"), (4, "format"), (8, "boot_files"), (9, "boot_new_system")]
)
async def test_a_right_that_is_revoked_in_the_middle_ends_the_deployment_for_its_node(
    check: int, step: str, tmp_path: Path, inventory: ServedInventory
) -> None:
    database = make_database(tmp_path)
    site = SimulatedSite(tmp_path, database, NAMES)
    inventory.describe(NAMES, site.workshop.image)
    inventory.grant("alice", "node-[1-3]")
    resolver = RevokingInventory(inventory, at=check)
    site.world.inventory = cast("Any", resolver)
    begun = time.time()

    created = await site.world.create(site.spec())
    deployment = await site.world.finished(created.id, within=PATIENCE)

    assert deployment.state is DeploymentState.ERROR
    assert [node.state for node in deployment.nodes] == [
        PartitionState.DEPLOYED,
        PartitionState.ERROR,
        PartitionState.DEPLOYED,
    ]
    lost = deployment.nodes[1]
    assert lost.reason is FailureReason.NO_RIGHT
    assert lost.description.endswith(f"(step {step})")
    assert await site.world.store.holders(NAMES) == {}
    assert type(site.workshop.boot.entries["node-2"]).__name__ == "BootLocalDisk"
    assert time.time() - begun < PATIENCE
    await resolver.close()
    database.close()
