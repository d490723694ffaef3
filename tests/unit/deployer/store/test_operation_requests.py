"""Requests for operations on each engine: of rivals one drives, old ones are forgotten, old schemas are upgraded."""

import asyncio
import signal
import sys
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select
from sqlalchemy.engine import URL

from kadeploy_deployer.engine.history_pruner import REQUEST_SECONDS
from kadeploy_deployer.ports.operation_store import AskedBefore, NewOperation, NodeNote, RequestName
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from kadeploy_deployer.store.operations import SqlOperationStore
from kadeploy_deployer.store.tables import metadata, node_locks
from tests.fakes import dying_operator
from tests.fakes.deployment_world import WallClock
from tests.fakes.old_schema import at_revision

pytestmark = pytest.mark.integration

NAMES = [f"node{number}" for number in range(50)]


def operation(name: str, *, age: float = 0.0) -> NewOperation:
    now = time.time() - age
    return NewOperation(id=f"op-{name}", owner="alice", lease_seconds=30.0, now=now)


def request(request_id: str = "r-1") -> RequestName:
    return RequestName(owner="alice", request_id=request_id, fingerprint="f")


async def test_of_rivals_for_one_request_exactly_one_drives_it(url: URL) -> None:
    databases = [Database(url) for _ in range(4)]
    stores = [SqlOperationStore(one) for one in databases]

    async def rivals(round_: str, refused: int) -> list[object]:
        calls = (
            store.open_request(operation(f"{round_}-{number}"), request(), NAMES, refused={})
            for number, store in enumerate(stores)
        )
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(one) for one in found].count(AskedBefore) == refused
        return list(found)

    found = await rivals("first", 3)
    (winner,) = [number for number, one in enumerate(found) if one == {}]
    noted = [NodeNote(node=name, ended=True) for name in NAMES[:20]] + [NodeNote(node=name) for name in NAMES[20:30]]
    assert await stores[winner].note_nodes(f"op-first-{winner}", noted)
    await stores[winner].release(f"op-first-{winner}")
    # Nobody drives it any more: of those who ask again, again one does.
    again = [one for one in await rivals("second", 3) if isinstance(one, dict)]
    assert len(again[0]) == 30
    for one in databases:
        one.close()


async def test_a_request_is_forgotten_when_nobody_will_ask_for_it_again(database: Database) -> None:
    store = SqlOperationStore(database)
    ages = {"driven": 60.0, "old": 60.0, "young": -60.0}
    for name, age in ages.items():
        await store.open_request(operation(name, age=REQUEST_SECONDS + age), request(name), NAMES, refused={})
    for name in ("old", "young"):
        await store.release(f"op-{name}")
    before = time.time() - REQUEST_SECONDS
    assert await store.forget_requests(before=before)
    assert not await store.forget_requests(before=before)
    known = {name: await store.known_request("alice", name) for name in ages}
    assert [name for name, one in known.items() if one is None] == ["old"]


async def test_a_reboot_whose_deployer_was_killed_goes_on_and_reboots_no_node_twice(url: URL, tmp_path: Path) -> None:
    text = url.render_as_string(hide_password=False)
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.dying_operator", text, str(tmp_path), stdin=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        assert await killed.wait() == -signal.SIGKILL
    cuts = tmp_path / "cuts"
    assert sorted(cuts.read_text().split()) == ["node-1", "node-2"]

    # Nobody renews the dead one's lease; its caller asks another deployer, and then once more.
    database = Database(url)
    deployments = SqlDeploymentStore(database)
    await deployments.free(await deployments.list_leases())
    database.close()
    for _ in range(2):
        async with asyncio.timeout(60):
            found = await dying_operator.reboot(text, tmp_path, WallClock())
        assert found == {"node-1": "", "node-2": "OUTCOME_UNKNOWN", "node-3": ""}
    assert sorted(cuts.read_text().split()) == ["node-1", "node-2", "node-3"]


def test_a_database_of_an_early_release_is_brought_up_to_date(database: Database) -> None:
    with at_revision(database, "0002") as connection:
        assert "operation_requests" not in inspect(connection).get_table_names()
        connection.exec_driver_sql(
            "INSERT INTO node_locks (node, operation_id, owner, lock_time, lease_expires_at)"
            " VALUES ('node1', 'op-a', 'alice', 1.0, 2.0)"
        )
    assert schema.upgrade(database.engine) == schema.newest()
    with database.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(select(node_locks.c.operation_id)).scalar_one() == "op-a"
