"""The database's clock goes a day ahead or back, on each engine: the living keep what they hold, the dead do not."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, update

from kadeploy_deployer.domain.operation import OperationSpec, PowerSpec
from kadeploy_deployer.domain.states import BusyPolicy, DeploymentState, FailureReason, OperationKind, PowerAction
from kadeploy_deployer.requests import deployments
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.store import admission
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.database_clock import DatabaseClock
from kadeploy_deployer.store.tables import deployments as deployment_rows
from tests.fakes.deployment_world import ALICE, SPEC, World, new_deployment, resolution
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.scripted_step import ScriptedStep, straight_plan

pytestmark = pytest.mark.integration

DAY = 86400.0
LEASE = 2.5
ROOT = Actor(user="root", is_administrator=True)
JUMPS = pytest.mark.parametrize("jump", [DAY, -DAY], ids=["a day ahead", "a day back"])


class ServerTime:
    """How far the clock of the database is from where it should be. All deployers of a test share it."""

    def __init__(self) -> None:
        self.wrong = 0.0


class ShiftedClock(DatabaseClock):
    """Asks a database whose clock is wrong."""

    def __init__(self, database: Database, server: ServerTime) -> None:
        super().__init__(database)
        self._server = server

    def _ask(self, connection: Connection) -> tuple[float, float]:
        ahead, took = super()._ask(connection)
        return ahead + self._server.wrong, took


class Site:
    """Deployers on one database, whose clock a test puts wrong."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.server = ServerTime()
        self.worlds: list[World] = []

    async def deployer(self, *, step: ScriptedStep | None = None, nodes: tuple[str, ...] = ("node1", "node2")) -> World:
        """Starts one, which asks for the time at once."""
        clock = ShiftedClock(self.database, self.server)
        await clock.synchronise()
        plan = straight_plan() if step is None else straight_plan(write=step)
        inventory = FakeInventory(resolution(nodes))
        world = World(database=self.database, plan=plan, clock=clock, lease_seconds=LEASE, inventory=inventory)
        world.supervisor.open()
        self.worlds.append(world)
        return world


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    found = Site(database)
    yield found
    for world in found.worlds:
        await world.supervisor.close()


@JUMPS
async def test_a_living_deployer_loses_nothing_to_rivals_old_or_new(site: Site, jump: float) -> None:
    step = ScriptedStep("write", holds=(held := asyncio.Event()))
    living = await site.deployer(step=step)
    await site.deployer()
    created = await living.create()
    await step.entered.wait()

    site.server.wrong = jump
    # It starts when the clock has jumped already, and has never seen the right time.
    await site.deployer()
    await asyncio.sleep(2 * LEASE)
    site.server.wrong = 0.0
    await site.deployer()
    await asyncio.sleep(2 * LEASE)
    held.set()

    deployment = await living.finished(created.id)
    assert (deployment.state, deployment.fence) == (DeploymentState.TERMINATED, 1)
    assert step.stopped == 0


@JUMPS
async def test_a_lease_of_another_day_is_not_believed_when_its_holder_is_dead(site: Site, jump: float) -> None:
    step = ScriptedStep("write", holds=asyncio.Event())
    site.server.wrong = jump
    dead = await site.deployer(step=step)
    created = await dead.create()
    await step.entered.wait()
    await asyncio.sleep(LEASE / 2)
    await dead.die()
    site.server.wrong = 0.0

    heir = await site.deployer()
    deployment = await heir.finished(created.id, within=4 * LEASE)
    assert (deployment.state, deployment.fence) == (DeploymentState.TERMINATED, 2)


async def test_a_cancellation_has_its_effect_although_the_dead_holder_s_lease_ends_tomorrow(site: Site) -> None:
    step = ScriptedStep("write", holds=asyncio.Event())
    dead = await site.deployer(step=step)
    created = await dead.create()
    await step.entered.wait()
    await dead.die()
    with site.database.engine.begin() as connection:
        tomorrow = deployment_rows.c.lease_expires_at + DAY
        connection.execute(update(deployment_rows).values(lease_expires_at=tomorrow))

    other = await site.deployer()
    await deployments.cancel_deployment(
        created.id, reason="", actor=ROOT, store=other.store, supervisor=other.supervisor, clock=other.clock
    )
    deployment = await other.finished(created.id, within=4 * LEASE)

    assert deployment.state is DeploymentState.ERROR
    assert {node.reason for node in deployment.nodes} == {FailureReason.CANCELLED}
    assert await other.store.holders(["node1", "node2"]) == {}


@pytest.mark.thorough
async def test_one_that_waits_and_whose_driver_is_dead_holds_up_nobody_for_long(site: Site) -> None:
    holder = await site.deployer(step=ScriptedStep("write", holds=asyncio.Event()), nodes=("node1",))
    await holder.create()
    site.server.wrong = DAY
    dead = await site.deployer(nodes=("node1", "node3"))
    waits = await dead.create(replace(SPEC, busy_policy=BusyPolicy.WAIT, wait_timeout=3 * LEASE))
    await asyncio.sleep(LEASE / 2)
    await dead.die()
    site.server.wrong = 0.0

    other = await site.deployer(nodes=("node3",))
    # It drives the other one, too, when that has run out.
    other.inventory.rights = {"node1": {"vda3"}, "node3": {"vda3"}}
    behind = asyncio.create_task(other.create(replace(SPEC, busy_policy=BusyPolicy.WAIT, wait_timeout=60.0)))
    ended = await other.finished(waits.id, within=8 * LEASE)
    assert FailureReason.BUSY in {node.reason for node in ended.nodes}
    async with asyncio.timeout(4 * LEASE):
        assert (await other.finished((await behind).id)).state is DeploymentState.TERMINATED


@pytest.mark.thorough
@JUMPS
async def test_a_wait_lasts_as_long_as_it_was_asked_for(site: Site, jump: float) -> None:
    step = ScriptedStep("write", holds=(held := asyncio.Event()))
    holder = await site.deployer(step=step, nodes=("node1",))
    first = await holder.create()
    waiting = await site.deployer(nodes=("node1",))
    patient = await waiting.create(replace(SPEC, busy_policy=BusyPolicy.WAIT, wait_timeout=60.0))
    site.server.wrong = jump
    await asyncio.sleep(2 * LEASE)
    # Neither is its time over, nor does it begin anew.
    assert (await waiting.store.get(patient.id)).state is DeploymentState.WAITING
    assert LEASE < (await waiting.store.get(patient.id)).waited_seconds < 10 * LEASE
    held.set()
    await holder.finished(first.id)
    assert (await waiting.finished(patient.id)).state is DeploymentState.TERMINATED


@pytest.mark.thorough
@JUMPS
async def test_a_wait_in_vain_ends_in_time_also_after_a_take_over(site: Site, jump: float) -> None:
    holder = await site.deployer(step=ScriptedStep("write", holds=asyncio.Event()), nodes=("node1",))
    await holder.create()
    dead = await site.deployer(nodes=("node1",))
    created = await dead.create(replace(SPEC, busy_policy=BusyPolicy.WAIT, wait_timeout=2 * LEASE))
    await asyncio.sleep(LEASE)
    await dead.die()
    site.server.wrong = jump

    other = await site.deployer(nodes=("node1",))
    ended = await other.finished(created.id, within=6 * LEASE)
    assert (ended.state, ended.fence) == (DeploymentState.ERROR, 2)
    # What both waited; a busy machine adds a second or two.
    said = re.search(r"did not become free within (\d+) s$", ended.description)
    assert said is not None
    assert 2 * LEASE <= int(said[1]) <= 3 * LEASE


@pytest.mark.thorough
@JUMPS
async def test_who_queues_keeps_their_place_and_who_died_loses_it(
    site: Site, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "PLACE_SECONDS", LEASE)
    monkeypatch.setattr(deployments, "RENEWAL_SECONDS", LEASE / 3)
    holder = await site.deployer(step=ScriptedStep("write", holds=asyncio.Event()), nodes=("node0",))
    await holder.create()
    first = await site.deployer(nodes=("node0", "node2"))
    in_the_way = await first.create(replace(SPEC, busy_policy=BusyPolicy.WAIT, wait_timeout=60.0))
    waits = replace(SPEC, busy_policy=BusyPolicy.WAIT, wait_timeout=60.0)

    dead = new_deployment("dead", ["node2", "node7"], busy_policy=BusyPolicy.WAIT, wait_timeout=60.0)
    await holder.store.create(dead)
    second = await site.deployer(nodes=("node2",))
    earlier = asyncio.create_task(second.create(waits))
    await asyncio.sleep(LEASE / 2)
    third = await site.deployer(nodes=("node2", "node3"))
    later = asyncio.create_task(third.create(waits))
    await asyncio.sleep(LEASE / 2)
    site.server.wrong = jump
    await asyncio.sleep(2 * LEASE)
    await deployments.cancel_deployment(
        in_the_way.id, reason="", actor=ALICE, store=first.store, supervisor=first.supervisor, clock=first.clock
    )
    async with asyncio.timeout(20):
        created = await asyncio.gather(earlier, later)
    ended = [await second.finished(one.id) for one in created]

    # Whoever came earlier began first; the one that died kept nobody.
    assert [one.state for one in ended] == [DeploymentState.TERMINATED] * 2
    with site.database.engine.begin() as connection:
        assert admission.list_leases(connection) == []


@JUMPS
async def test_a_living_operation_keeps_its_nodes_and_a_dead_one_goes_on_elsewhere(site: Site, jump: float) -> None:
    step = ScriptedStep("write", holds=asyncio.Event())
    living, dead = await site.deployer(step=step, nodes=("node1",)), await site.deployer(nodes=("node2",))
    created = await living.create()
    await step.entered.wait()
    spec = OperationSpec(kind=OperationKind.POWER, nodes="node2", power=PowerSpec(action=PowerAction.CYCLE))
    base = new_deployment("op-dead", ["node2"], driver=dead.supervisor.driver, lease_seconds=LEASE)
    new = replace(base, spec=spec, environment=None)
    await dead.store.create(new)
    await dead.die()
    await asyncio.sleep(LEASE / 2)
    site.server.wrong = jump
    other = await site.deployer()
    async with asyncio.timeout(8 * LEASE):
        while not (ended := await other.store.get_operation("op-dead")).finished:  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.05)

    assert ended.fence == 2
    assert await living.store.holders(["node1", "node2"]) == {"node1": created.id}
