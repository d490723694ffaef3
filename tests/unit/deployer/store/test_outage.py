"""A database that is away for a while."""

import asyncio
import gc
import os
import signal
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from kadeploy_database import mariadb_session
from kadeploy_deployer.domain.errors import StoreUnreachable
from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.ports.journal_entries import RemarkEntry
from kadeploy_deployer.ports.store_values import Created
from kadeploy_deployer.store import admission, schema
from kadeploy_deployer.store import database as database_room
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.deployment_world import World, new_deployment
from tests.fakes.scripted_step import ScriptedStep, straight_plan
from tests.mariadb import MariadbServer, killed, running_server


class Away(sqlite3.OperationalError):
    sqlite_errorcode = sqlite3.SQLITE_CANTOPEN


@pytest.fixture
def outages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns a list; as many transactions fail as it has items."""
    left: list[int] = []
    transact = database_room._transact

    def failing(*call: Any) -> Any:
        if left:
            left.pop()
            raise OperationalError("BEGIN", None, Away("unable to open database file"))
        return transact(*call)

    monkeypatch.setattr(database_room, "_transact", failing)
    monkeypatch.setattr(database_room, "OUTAGE_PAUSE", 0.01)
    return left


async def test_a_request_is_told_at_once_that_the_database_is_away(
    store: SqlDeploymentStore, outages: list[int]
) -> None:
    outages.append(1)

    with pytest.raises(StoreUnreachable, match="unable to open"):
        await store.create(new_deployment("one", ["node1"]))


async def test_a_driver_waits_for_the_database_so_that_nothing_done_is_forgotten(
    store: SqlDeploymentStore, outages: list[int]
) -> None:
    created = await store.create(new_deployment("one", ["node1"]))
    assert isinstance(created, Created)
    lease = created.lease
    assert lease is not None
    outages.extend(range(5))

    await store.write(lease, [RemarkEntry(node="", text="kept")], now=1.0)

    assert outages == []
    assert (await store.events("one", after=2, limit=9))[0].sequence == 3


async def test_a_lost_connection_in_the_middle_leaves_nothing_half_done(database: Database) -> None:
    store = SqlDeploymentStore(database)

    def breaks(connection: Any) -> None:
        connection.exec_driver_sql("DELETE FROM events")
        raise RuntimeError("broken in the middle")

    await store.create(new_deployment("one", ["node1"]))
    with pytest.raises(RuntimeError):
        await database.write(breaks)

    assert len(await store.events("one", after=0, limit=9)) == 2


@pytest.mark.mariadb
async def test_connections_that_the_server_closed_are_replaced(mariadb_server: MariadbServer) -> None:
    with mariadb_server.database() as name:
        database = Database(mariadb_server.url(name))
        schema.upgrade(database.engine)
        store = SqlDeploymentStore(database)
        await store.create(new_deployment("one", ["node1"]))

        gone: list[int] = []

        def severed(connection: Connection) -> None:
            connection.exec_driver_sql("DELETE FROM events")
            gone.append(connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one())
            mariadb_server.run(f"KILL CONNECTION {gone[0]}")
            connection.exec_driver_sql("DELETE FROM events")

        with pytest.raises(StoreUnreachable):
            await database.write(severed)
        others = mariadb_server.run(f"SELECT id FROM information_schema.processlist WHERE db = '{name}'")  # noqa: S608
        # The one that was ended may still be on its way out.
        mariadb_server.run(*(f"KILL CONNECTION {row[0]}" for row in others if row[0] not in gone), "SELECT 1")

        assert len(await store.events("one", after=0, limit=9)) > 0
        database.close()


@pytest.fixture
def mariadb_url(mariadb_server: MariadbServer) -> Iterator[URL]:
    """Yields the URL of a database with the newest schema."""
    with mariadb_server.database() as name:
        engine = database_room.make_engine(mariadb_server.url(name))
        schema.upgrade(engine)
        engine.dispose()
        yield mariadb_server.url(name)


@pytest.mark.mariadb
async def test_a_deployer_that_stops_in_the_middle_of_a_transaction_holds_up_nobody_for_long(
    mariadb_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mariadb_session, "IDLE_SECONDS", 1)
    stopped, alive = Database(mariadb_url), Database(mariadb_url)
    with stopped.engine.connect() as connection:
        admission.enter_admission(connection)
        async with asyncio.timeout(30):
            created = await SqlDeploymentStore(alive).create(new_deployment("one", ["node1"]))
        assert isinstance(created, Created)
        # When it goes on it finds that it has done nothing.
        with pytest.raises(OperationalError):
            admission.enter_admission(connection)
    stopped.close()
    alive.close()


@pytest.mark.mariadb
async def test_a_server_that_says_nothing_any_more_is_away(mariadb_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mariadb_session, "SILENCE_SECONDS", 1)
    database = Database(mariadb_url)
    async with asyncio.timeout(30):
        with pytest.raises(StoreUnreachable):
            await database.read(lambda c: c.exec_driver_sql("SELECT SLEEP(60)"))
        assert await database.read(lambda c: c.exec_driver_sql("SELECT 1").scalar_one()) == 1
    database.close()


@pytest.mark.mariadb
async def test_a_connection_that_broke_unheard_is_no_fault_of_ours(mariadb_url: URL) -> None:
    database = Database(mariadb_url)

    def breaks(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        driver._force_close()
        connection.exec_driver_sql("SELECT 1")

    with pytest.raises(StoreUnreachable):
        await database.write(breaks)
    assert await database.read(lambda c: c.exec_driver_sql("SELECT 1").scalar_one()) == 1
    database.close()


@pytest.mark.mariadb
@pytest.mark.parametrize("seconds", [1.0, 4.0], ids=["shorter than a lease", "longer than a lease"])
async def test_a_server_that_stands_still_for_a_while_ends_no_deployment(
    seconds: float, mariadb_server: MariadbServer, mariadb_url: URL
) -> None:
    database = Database(mariadb_url)
    step = ScriptedStep("write", holds=(held := asyncio.Event()))
    world = World(database=database, plan=straight_plan(write=step), lease_seconds=1.5)
    world.supervisor.open()
    created = await world.create()
    await step.entered.wait()
    server = int((mariadb_server.socket.parent / "pid").read_text())
    os.kill(server, signal.SIGSTOP)
    try:
        held.set()
        await asyncio.sleep(seconds)
    finally:
        os.kill(server, signal.SIGCONT)
    deployment = await world.finished(created.id, within=30)
    await world.supervisor.close()
    database.close()

    assert (deployment.state, deployment.description) == (DeploymentState.TERMINATED, "2 of 2 nodes deployed")
    assert [record.step for record in deployment.nodes[0].steps] == ["boot", "write", "reboot"]


@pytest.mark.mariadb
@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_that_is_killed_and_comes_back_finds_every_deployment_where_it_was() -> None:
    with running_server(tls=False) as server:
        name = "deploy_state"
        server.run(f"CREATE DATABASE {name}")
        engine = database_room.make_engine(server.url(name))
        schema.upgrade(engine)
        engine.dispose()
        database = Database(server.url(name))
        step = ScriptedStep("write", holds=(held := asyncio.Event()))
        world = World(database=database, plan=straight_plan(write=step), lease_seconds=1.5)
        world.supervisor.open()
        created = await world.create()
        await step.entered.wait()
        restarting = killed(server, seconds=5.0)
        held.set()
        # Meanwhile the deployer cannot journal what its step has done, and its lease runs out.
        await asyncio.to_thread(restarting.__enter__)
        try:
            deployment = await world.finished(created.id, within=60)
            await world.supervisor.close()
            database.close()
        finally:
            restarting.__exit__(None, None, None)
    # The driver leaves the socket of a connection that was refused to the garbage collector, which would say so later.
    gc.collect()

    assert (deployment.state, deployment.description) == (DeploymentState.TERMINATED, "2 of 2 nodes deployed")
    assert [record.step for record in deployment.nodes[0].steps] == ["boot", "write", "reboot"]
