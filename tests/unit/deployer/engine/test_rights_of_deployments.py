"""A right that ends in the middle of a deployment ends it for its nodes at the next step, and for no others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.domain.deployment import Deployment
from kadeploy_deployer.domain.errors import RightMissing
from kadeploy_deployer.domain.events import PartitionStateChanged
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import BusyPolicy, DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.engine import waiting
from kadeploy_deployer.ports.store_values import Ending
from kadeploy_deployer.requests import deployments
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.store.database import Database
from kadeploy_edge.errors import Unreachable
from tests.fakes.deployment_world import SPEC, World, make_database, new_deployment
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.scripted_step import ScriptedStep, straight_plan
from tests.fakes.simulated_site import SimulatedSite

pytestmark = pytest.mark.integration

NAMES = ("node-1", "node-2", "node-3")
STEPS = (
    "boot_deployment_environment",
    "find_disk",
    "partition",
    "format",
    "mount",
    "broadcast",
    "keys",
    "boot_files",
    "boot_new_system",
)
ROOT = Actor(user="root", is_administrator=True)
PATIENT = replace(SPEC, busy_policy=BusyPolicy.WAIT, wait_timeout=30.0)


class InventoryAway(Unreachable):
    reason = "INVENTORY_UNREACHABLE"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


def ends_at(inventory: FakeInventory, check: int, *nodes: str) -> None:
    """Lets the rights on nodes end just before a check, the first being 1."""
    names = [node.name for node in inventory.resolution.nodes]
    inventory.rights = {name: {"vda3"} for name in names}
    rights_now = inventory.rights

    def on_check() -> None:
        if len(inventory.checks) == check:
            for node in nodes:
                del rights_now[node]

    inventory.on_check = on_check


# --- in the middle ---


@pytest.mark.parametrize("step", STEPS)
async def test_a_right_that_ends_before_a_step_ends_the_deployment_for_its_node(
    step: str, tmp_path: Path, database: Database
) -> None:
    site = SimulatedSite(tmp_path, database, NAMES)
    ends_at(site.world.inventory, STEPS.index(step) + 1, "node-2")

    deployment = await site.world.run(site.spec())

    assert deployment.state is DeploymentState.ERROR
    lost = deployment.nodes[1]
    assert (lost.state, lost.reason) == (PartitionState.ERROR, FailureReason.NO_RIGHT)
    assert lost.description.startswith("no right: alice has no right on vda3 any more, as asked at 2023-11-1")
    assert lost.description.endswith(f"UTC (step {step})")
    before = STEPS[: STEPS.index(step)]
    assert {record.step for record in lost.steps} == set(before)
    events = await site.world.store.events(deployment.id, after=0, limit=999)
    assert not [event for event in events if event.node == "node-2" and getattr(event.kind, "step", "") == step]
    # It is left so that it boots from its disk, and the others went on.
    assert site.workshop.boot.entries["node-2"].__class__.__name__ == "BootLocalDisk"
    assert [deployment.nodes[index].state for index in (0, 2)] == [PartitionState.DEPLOYED] * 2
    assert await site.world.store.holders(NAMES) == {}


async def test_every_step_of_the_plan_asks_once_for_all_nodes_that_begin_it(database: Database) -> None:
    plan = [ScriptedStep(step.name, step.partition_state) for step in PLAN]
    world = World(database=database, plan=plan)
    deployment = await world.run()

    assert deployment.state is DeploymentState.TERMINATED
    assert world.inventory.checks == [("node[1-2]", "alice", "vda3")] * len(PLAN)


async def test_each_attempt_at_a_step_asks_for_the_nodes_that_try_again(database: Database) -> None:
    broken = Failure(reason=FailureReason.FORMAT_FAILED, description="exit 1")
    step = ScriptedStep("write", answers={"node2": [broken, broken, None]}, retries=2)
    world = World(database=database, plan=straight_plan(write=step))
    ends_at(world.inventory, 4, "node2")

    deployment = await world.run()

    assert [nodes for nodes, _, _ in world.inventory.checks] == ["node[1-2]", "node[1-2]", "node[1-2]", "node2"]
    assert step.runs == ["node1", "node2", "node2"]
    assert [node.reason for node in deployment.nodes] == [None, FailureReason.NO_RIGHT]


async def test_when_all_rights_end_nothing_is_begun_any_more(tmp_path: Path, database: Database) -> None:
    site = SimulatedSite(tmp_path, database, NAMES)
    ends_at(site.world.inventory, 3, *NAMES)

    deployment = await site.world.run(site.spec())

    assert deployment.state is DeploymentState.ERROR
    assert {node.reason for node in deployment.nodes} == {FailureReason.NO_RIGHT}
    assert len(site.world.inventory.checks) == 3
    assert await site.world.store.holders(NAMES) == {}


async def test_administrators_need_a_right_only_on_behalf_of_others(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    world.inventory.rights = {}
    own = await world.finished((await world.create(actor=ROOT)).id)
    assert own.state is DeploymentState.TERMINATED
    assert world.inventory.checks == []

    for_alice = await world.finished((await world.create(replace(SPEC, user="alice"), actor=ROOT)).id)
    assert {node.reason for node in for_alice.nodes} == {FailureReason.NO_RIGHT}
    assert world.inventory.checks[0] == ("node[1-2]", "alice", "vda3")


async def test_who_takes_a_deployment_over_asks_for_the_right_of_its_owner(database: Database) -> None:
    step = ScriptedStep("write", holds=asyncio.Event())
    first = World(database=database, plan=straight_plan(write=step))
    created = await first.create()
    await step.entered.wait()
    await first.supervisor.close()

    second = World(database=database, plan=straight_plan())
    second.inventory.rights = {"node1": {"vda3"}}
    second.supervisor.open()
    deployment = await second.finished(created.id)
    await second.supervisor.close()

    assert [node.reason for node in deployment.nodes] == [None, FailureReason.NO_RIGHT]
    assert second.plan[1].runs == ["node1"]  # type: ignore[attr-defined]


async def test_a_cancellation_is_heard_while_the_inventory_does_not_answer(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    world.inventory.error = None
    created = await world.create()

    def away() -> None:
        world.inventory.error = InventoryAway("the inventory does not answer")

    world.inventory.on_check = away
    step = world.plan[1]
    deployment = await _cancelled(world, created)
    assert {node.reason for node in deployment.nodes} == {FailureReason.CANCELLED}
    assert step.runs == []  # type: ignore[attr-defined]


async def _cancelled(world: World, created: Deployment) -> Deployment:
    async with asyncio.timeout(10):
        while not world.inventory.checks:  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.01)
    await deployments.cancel_deployment(
        created.id,
        reason="",
        actor=ROOT,
        store=world.store,
        supervisor=world.supervisor,
        clock=world.clock,
    )
    return await world.finished(created.id, within=5)


# --- while it waits ---


async def waits_for_node1(database: Database) -> tuple[World, Deployment]:
    """Lets alice's deployment of node1 and node2 wait for node1, which "holder" has."""
    world = World(database=database, plan=straight_plan())
    await world.store.create(new_deployment("holder", ["node1"]))
    world.inventory.rights = {"node1": {"vda3"}, "node2": {"vda3"}}
    return world, await world.create(PATIENT)


async def test_a_waiting_deployment_gets_no_node_on_which_its_right_has_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAIT_POLL", 0.02)
    world = World(database=database, plan=straight_plan())
    held = ScriptedStep("write", holds=(gate := asyncio.Event()))
    holder = World(database=database, plan=straight_plan(write=held))
    first = await holder.create(replace(SPEC, nodes="node[1-2]"))
    await held.entered.wait()
    world.inventory.rights = {"node1": {"vda3"}, "node2": {"vda3"}}
    created = await world.create(PATIENT)
    assert created.state is DeploymentState.WAITING

    del world.inventory.rights["node2"]
    gate.set()
    await holder.finished(first.id)
    deployment = await world.finished(created.id)

    # It goes on without the node, which it never took.
    assert deployment.state is DeploymentState.TERMINATED
    assert [(node.included, node.reason) for node in deployment.nodes] == [
        (True, None),
        (False, FailureReason.NO_RIGHT),
    ]
    assert "alice has no right on vda3 any more" in deployment.nodes[1].description
    assert world.plan[0].runs == ["node1"]  # type: ignore[attr-defined]
    (partition,) = await world.store.list_partitions(["node2"], after=None, limit=9)
    assert partition.deployment_id == first.id
    events = await world.store.events(created.id, after=0, limit=99)
    told = [event.kind for event in events if event.node == "node2" and isinstance(event.kind, PartitionStateChanged)]
    assert [kind.reason for kind in told] == [FailureReason.NO_RIGHT]


async def test_a_waiting_deployment_whose_rights_have_all_ended_ends_and_lets_the_next_one_wait(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAIT_POLL", 0.02)
    monkeypatch.setattr(waiting, "ASK_SECONDS", 0.1)
    world, created = await waits_for_node1(database)
    world.inventory.rights = {}

    # Its nodes are still busy: it holds up nobody until they are free.
    deployment = await world.finished(created.id, within=5)

    assert deployment.state is DeploymentState.ERROR
    assert {node.reason for node in deployment.nodes} == {FailureReason.NO_RIGHT}
    assert deployment.description.startswith("the right on the nodes ended while they were waited for")
    assert [one.deployment_id for one in await world.store.list_partitions([], after=None, limit=9)] == ["holder"]
    assert await world.store.holders(["node1", "node2"]) == {"node1": "holder"}


async def test_a_waiting_deployment_takes_nothing_while_nobody_can_say_whether_it_may(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAIT_POLL", 0.02)
    monkeypatch.setattr(waiting, "ASK_SECONDS", 0.1)
    step = ScriptedStep("write", holds=(gate := asyncio.Event()))
    holder = World(database=database, plan=straight_plan(write=step))
    first = await holder.create()
    await step.entered.wait()
    world = World(database=database, plan=straight_plan())
    created = await world.create(PATIENT)
    world.inventory.error = InventoryAway("the inventory does not answer")
    gate.set()
    await holder.finished(first.id)
    await asyncio.sleep(0.3)
    assert (await world.store.get(created.id)).state is DeploymentState.WAITING

    world.inventory.error = None
    assert (await world.finished(created.id)).state is DeploymentState.TERMINATED


async def test_one_that_waits_in_vain_for_the_inventory_says_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAIT_POLL", 0.02)
    monkeypatch.setattr(waiting, "ASK_SECONDS", 0.1)
    world = World(database=database, plan=straight_plan())
    await world.store.create(new_deployment("holder", ["node1"]))
    created = await world.create(replace(PATIENT, wait_timeout=1.0))
    world.inventory.error = InventoryAway("the inventory does not answer")
    (seen,) = [lease for lease in await world.store.list_leases() if lease.name == "holder"]
    (lease,) = await world.store.claim([seen], driver="x", now=world.clock.now(), lease_seconds=30.0)
    await world.store.end(
        lease, Ending(trigger=DeploymentTrigger.CANCELLED, description="", failures={}), now=world.clock.now()
    )

    deployment = await world.finished(created.id)
    assert {node.reason for node in deployment.nodes} == {FailureReason.INTERNAL}
    assert "nobody could say whether the right still stands" in deployment.description


async def test_a_request_whose_right_ends_while_it_queues_is_refused_and_leaves_the_queue(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "TURN_POLL", 0.02)
    monkeypatch.setattr(deployments, "RENEWAL_SECONDS", 0.1)
    world, _ = await waits_for_node1(database)
    queued = World(database=database, plan=straight_plan())
    queued.inventory.rights = {"node1": {"vda3"}, "node2": {"vda3"}}
    request = asyncio.create_task(queued.create(replace(SPEC, busy_policy=BusyPolicy.WAIT, wait_timeout=30.0)))
    await asyncio.sleep(0.3)
    assert not request.done()

    del queued.inventory.rights["node2"]
    with pytest.raises(RightMissing, match="alice has no right to deploy to the target partition of node2"):
        async with asyncio.timeout(5):
            await request
    assert [lease.kind for lease in await world.store.list_leases() if lease.kind == "queue_place"] == []


# --- batch schedulers ---


async def test_the_node_of_a_job_that_is_over_belongs_to_the_next_job(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAIT_POLL", 0.02)

    class ByUser(FakeInventory):
        """Rights of a job's user alone."""

        job = "dave"

        async def check_rights(self, nodes: str, *, user: str, partition: str = "") -> dict[str, bool]:
            found = await super().check_rights(nodes, user=user, partition=partition)
            return {node: allowed and user == self.job for node, allowed in found.items()}

    inventory = ByUser(FakeInventory(World(database=database, plan=[]).inventory.resolution).resolution)
    step = ScriptedStep("write", holds=(gate := asyncio.Event()))
    holder = World(database=database, plan=straight_plan(write=step))
    first = await holder.create(actor=ROOT)
    await step.entered.wait()
    site = World(database=database, plan=straight_plan(), inventory=inventory)
    daves = await site.create(PATIENT, actor=Actor(user="dave"))

    # dave's job ends, and the scheduler gives the nodes to erin, who asks for them at once.
    inventory.job = "erin"
    erins = asyncio.create_task(site.create(PATIENT, actor=Actor(user="erin")))
    await asyncio.sleep(0.2)
    gate.set()
    await holder.finished(first.id)
    ended = await site.finished(daves.id)
    got = await site.finished((await erins).id)

    assert {node.reason for node in ended.nodes} == {FailureReason.NO_RIGHT}
    assert (got.state, got.owner) == (DeploymentState.TERMINATED, "erin")
    assert [one.owner for one in await site.store.list_partitions([], after=None, limit=9)] == ["erin", "erin"]
