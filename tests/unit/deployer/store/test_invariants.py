"""What the database guarantees, whoever writes to it."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event, insert, select, text, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, OperationalError

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import (
    AnotherDeploymentWaiting,
    DeploymentFinished,
    LeaseLost,
    NodesBusy,
    NoNodeLeft,
)
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import BusyPolicy, DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.domain.transition import NodePosition, StepTarget, enter, fail, finish
from kadeploy_deployer.ports.journal_entries import NodeReleased
from kadeploy_deployer.ports.store_values import Created, Ending
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from kadeploy_deployer.store.tables import deployments, metadata, node_locks
from tests.fakes.deployment_world import claim_all, make_database, new_deployment

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[4]
BROKEN = {"node1": Failure(reason=FailureReason.INTERNAL, description="x")}


async def lease_of(store: SqlDeploymentStore, name: str, nodes: list[str]) -> Lease:
    created = await store.create(new_deployment(name, nodes))
    assert isinstance(created, Created)
    assert created.lease is not None
    return created.lease


def everything(database: Database) -> dict[str, list[object]]:
    with database.engine.begin() as connection:
        return {table.name: [*connection.execute(select(table)).all()] for table in metadata.sorted_tables}


# --- 1: one waits ---


async def test_two_deployments_cannot_wait_even_if_somebody_writes_it_by_hand(
    database: Database, store: SqlDeploymentStore
) -> None:
    await lease_of(store, "one", ["node1"])
    await lease_of(store, "two", ["node2"])
    wait = update(deployments).values(state="waiting", waiting_slot=1)
    with database.engine.begin() as connection:
        connection.execute(wait.where(deployments.c.id == "one"))
    for values in ({"waiting_slot": 1}, {"waiting_slot": 2}, {"waiting_slot": None}):
        # The driver for MariaDB has another word for a failed CHECK.
        with pytest.raises((IntegrityError, OperationalError)), database.engine.begin() as connection:
            connection.execute(update(deployments).where(deployments.c.id == "two").values(state="waiting", **values))


async def test_who_comes_while_another_waits_is_told_who_it_is(store: SqlDeploymentStore) -> None:
    await lease_of(store, "holder", ["node1"])
    waits = new_deployment("waits", ["node1", "node2"], busy_policy=BusyPolicy.WAIT, wait_timeout=60.0)
    await store.create(waits)

    assert (await store.get("waits")).state is DeploymentState.WAITING
    with pytest.raises(AnotherDeploymentWaiting, match="waits of alice"):
        await store.create(new_deployment("late", ["node2"], busy_policy=BusyPolicy.FAIL))


async def test_a_waiting_deployment_gets_its_nodes_when_they_are_free(store: SqlDeploymentStore) -> None:
    holder = await lease_of(store, "holder", ["node1"])
    waits = new_deployment("waits", ["node1", "node2"], busy_policy=BusyPolicy.WAIT, wait_timeout=60.0)
    created = await store.create(waits)
    assert isinstance(created, Created)
    waiting = created.lease
    assert waiting is not None

    assert await store.acquire(waiting, now=time.time()) == {"node1": "holder"}
    assert (await store.holders(["node1", "node2"])) == {"node1": "holder"}
    await store.end(
        holder, Ending(trigger=DeploymentTrigger.SOME_FAILED, description="", failures=BROKEN), now=time.time()
    )
    assert await store.acquire(waiting, now=time.time()) == {}
    assert (await store.get("waits")).state is DeploymentState.DEPLOYING
    assert (await store.holders(["node1", "node2"])) == {"node1": "waits", "node2": "waits"}


# --- 2: a node belongs to one ---


async def test_a_node_cannot_be_locked_twice_even_by_hand(database: Database, store: SqlDeploymentStore) -> None:
    await lease_of(store, "one", ["node1"])
    row = {"node": "node1", "deployment_id": "one", "owner": "bob", "lock_time": 0.0}
    with pytest.raises(IntegrityError), database.engine.begin() as connection:
        connection.execute(insert(node_locks).values(row))


async def test_busy_nodes_are_refused_or_left_out_and_nothing_is_half_done(
    database: Database, store: SqlDeploymentStore
) -> None:
    await lease_of(store, "holder", ["node1"])
    before = everything(database)

    with pytest.raises(NodesBusy, match="node1 \\(deployment holder\\)"):
        await store.create(new_deployment("two", ["node1", "node2"], busy_policy=BusyPolicy.FAIL))
    with pytest.raises(NodesBusy):
        await store.create(new_deployment("two", ["node1", "node2"], busy_policy=BusyPolicy.WAIT))
    with pytest.raises(NoNodeLeft):
        await store.create(new_deployment("two", ["node1"]))
    assert everything(database) == before

    await lease_of(store, "three", ["node1", "node2"])
    first, second = (await store.get("three")).nodes
    assert (first.state, first.reason) == (None, FailureReason.BUSY)
    assert second.state is PartitionState.TO_DEPLOY


async def test_of_rivals_in_one_process_exactly_one_gets_the_nodes(url: URL) -> None:
    # Each with connections and threads of its own, as different processes have them.
    databases = [Database(url) for _ in range(8)]
    nodes = [f"node{number}" for number in range(100)]

    async def rival(number: int) -> bool:
        new = new_deployment(f"d{number}", nodes, busy_policy=BusyPolicy.FAIL)
        try:
            await SqlDeploymentStore(databases[number]).create(new)
        except NodesBusy:
            return False
        return True

    won = await asyncio.gather(*(rival(number) for number in range(8)))
    held = await SqlDeploymentStore(databases[0]).holders(nodes)
    for one in databases:
        one.close()

    assert sum(won) == 1
    assert set(held.values()) == {f"d{won.index(True)}"}
    assert len(held) == 100


def test_of_rival_processes_exactly_one_wins_each_round(url: URL) -> None:
    begin = time.time() + 3.0
    command = [sys.executable, "-m", "tests.fakes.racing_process", str(url)]
    rivals = [
        subprocess.Popen([*command, name, str(begin)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for name in ("red", "blue")
    ]
    lines = [line.split() for rival in rivals for line in rival.communicate(timeout=25)[0].splitlines()]

    assert [rival.returncode for rival in rivals] == [0, 0]
    assert Counter(line[0] for line in lines if line[1] == "won") == {str(number): 1 for number in range(10)}
    assert {line[1] for line in lines} == {"won", "NODES_BUSY"}


# --- 3: finished is finished ---


async def test_a_finished_deployment_never_changes_again(database: Database, store: SqlDeploymentStore) -> None:
    lease = await lease_of(store, "one", ["node1"])
    (seen,) = await store.list_leases()
    await store.end(lease, Ending(trigger=DeploymentTrigger.SOME_FAILED, description="", failures=BROKEN), now=2.0)
    before = everything(database)

    with pytest.raises(DeploymentFinished):
        await store.request_cancel("one", reason="late", now=3.0)
    with pytest.raises(LeaseLost):
        await store.end(lease, Ending(trigger=DeploymentTrigger.CANCELLED, description="", failures={}), now=3.0)
    with pytest.raises(LeaseLost):
        await store.write(lease, [], now=3.0)
    assert await store.renew([lease], now=3.0, lease_seconds=9.9) == frozenset()
    assert await claim_all(store, "other") == []
    assert await store.claim([seen], driver="other", now=1e12, lease_seconds=30.0) == []
    assert everything(database) == before


async def test_a_partition_names_the_deployment_that_wrote_it_last(store: SqlDeploymentStore) -> None:
    first = await lease_of(store, "one", ["node1"])
    await store.end(first, Ending(trigger=DeploymentTrigger.SOME_FAILED, description="", failures=BROKEN), now=2.0)
    await lease_of(store, "two", ["node1"])

    (partition,) = await store.list_partitions([], after=None, limit=9)
    assert (partition.deployment_id, partition.state, partition.reason) == ("two", PartitionState.TO_DEPLOY, "")


# --- 4: leases ---


async def test_a_driver_whose_lease_was_taken_over_changes_nothing(
    database: Database, store: SqlDeploymentStore
) -> None:
    old = await lease_of(store, "one", ["node1"])
    (new,) = await claim_all(store, "new")
    before = everything(database)

    assert (new.deployment_id, new.fence) == ("one", 2)
    now = time.time()
    begin = NodePosition(state=PartitionState.TO_DEPLOY)
    for attempt in (
        store.write(old, [enter("node1", begin, StepTarget(name="x", state=PartitionState.TO_DEPLOY))], now=now),
        store.write(old, [fail("node1", begin, BROKEN["node1"])], now=now),
        store.write(old, [NodeReleased(node="node1")], now=now),
        store.end(old, Ending(trigger=DeploymentTrigger.SOME_FAILED, description="", failures=BROKEN), now=now),
        store.write(old, [], now=now),
        store.acquire(old, now=now),
        store.note_wait(old, waited_seconds=1.0),
        store.leave_out(old, BROKEN, now=now),
    ):
        with pytest.raises(LeaseLost):
            await attempt
    assert await store.renew([old], now=now, lease_seconds=99.0) == frozenset()
    await store.release([old])
    assert everything(database) == before


async def test_a_node_that_is_not_where_its_transition_begins_is_not_moved_and_nobody_else_is(
    database: Database, store: SqlDeploymentStore
) -> None:
    lease = await lease_of(store, "one", ["node1", "node2"])
    begin = NodePosition(state=PartitionState.TO_DEPLOY)
    boot, write = (
        StepTarget(name="boot", state=PartitionState.TO_DEPLOY),
        StepTarget(name="write", state=PartitionState.DEPLOYING),
    )
    entered = enter("node1", begin, boot)
    await store.write(lease, [entered], now=1.0)
    before = everything(database)

    late = [
        [enter("node2", begin, boot), entered],
        [finish("node2", replace(begin, step="boot", attempt=1), following=write, facts=None, time=2.0)],
        [finish("node1", replace(entered.after, attempt=2), following=write, facts=None, time=2.0)],
        [fail("node1", replace(entered.after, state=PartitionState.DEPLOYING), BROKEN["node1"])],
    ]
    for entries in late:
        with pytest.raises(LeaseLost):
            await store.write(lease, entries, now=2.0)
    assert everything(database) == before


async def test_a_node_is_free_when_it_has_ended_whatever_the_others_do(store: SqlDeploymentStore) -> None:
    lease = await lease_of(store, "one", ["node1", "node2", "node3"])
    begin = NodePosition(state=PartitionState.TO_DEPLOY)
    failed = fail("node2", begin, BROKEN["node1"])
    rebooting = NodePosition(state=PartitionState.REBOOTING, step="reboot", attempt=1)
    steps = [
        StepTarget(name="write", state=PartitionState.DEPLOYING),
        StepTarget(name="reboot", state=PartitionState.REBOOTING),
    ]
    position = begin
    for step in steps:
        moved = enter("node1", position, step)
        await store.write(lease, [moved], now=1.0)
        position = moved.after
    assert position == rebooting
    await store.write(lease, [finish("node1", rebooting, following=None, facts=None, time=2.0), failed], now=2.0)
    assert await store.holders(["node1", "node2", "node3"]) == {"node2": "one", "node3": "one"}
    assert (await store.load("one")).locked == {"node2", "node3"}

    await store.write(lease, [NodeReleased(node="node2")], now=3.0)
    assert await store.holders(["node1", "node2", "node3"]) == {"node3": "one"}
    await lease_of(store, "two", ["node1", "node2"])
    await store.end(lease, Ending(trigger=DeploymentTrigger.SOME_FAILED, description="", failures={}), now=4.0)
    assert await store.holders(["node1", "node2", "node3"]) == {"node1": "two", "node2": "two"}


async def test_a_lease_is_taken_over_only_as_it_was_seen(store: SqlDeploymentStore) -> None:
    lease = await lease_of(store, "one", ["node1"])
    seen = await store.list_leases()
    now = time.time()

    assert await store.renew([lease], now=now, lease_seconds=30.0) == {"one"}
    assert await store.claim(seen, driver="new", now=now, lease_seconds=30.0) == []
    (taken,) = await store.claim(await store.list_leases(), driver="new", now=now, lease_seconds=30.0)
    assert (taken.driver, taken.fence) == ("new", 2)
    assert await store.renew([lease], now=now, lease_seconds=30.0) == frozenset()


async def test_a_lease_that_was_given_back_has_no_driver(store: SqlDeploymentStore) -> None:
    lease = await lease_of(store, "one", ["node1"])
    assert [one.is_released for one in await store.list_leases()] == [False]
    await store.release([lease])
    assert [one.is_released for one in await store.list_leases()] == [True]


async def test_of_those_that_take_over_one_gets_the_lease(url: URL, store: SqlDeploymentStore) -> None:
    await lease_of(store, "one", ["node1"])
    databases = [Database(url) for _ in range(4)]
    seen = await store.list_leases()
    taken = await asyncio.gather(
        *(
            SqlDeploymentStore(one).claim(seen, driver=f"p{number}", now=time.time(), lease_seconds=30.0)
            for number, one in enumerate(databases)
        )
    )
    for one in databases:
        one.close()

    assert sum(len(leases) for leases in taken) == 1


def test_the_file_is_in_wal_mode_and_every_commit_is_synced(tmp_path: Path) -> None:
    database = make_database(tmp_path)
    with database.engine.begin() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2
    database.close()


async def test_a_thousand_nodes_are_reserved_by_a_handful_of_statements(
    database: Database, store: SqlDeploymentStore
) -> None:
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    nodes = [f"node{number}" for number in range(1000)]

    await store.create(new_deployment("big", nodes))

    assert len(statements) < 30
    assert len(await store.holders(nodes)) == 1000
