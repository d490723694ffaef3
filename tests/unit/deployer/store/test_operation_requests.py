"""Requests for operations on each engine: of rivals one drives, old ones are forgotten, old schemas are upgraded."""

import asyncio
import signal
import sys
import time
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, inspect, select
from sqlalchemy.engine import URL

from kadeploy_deployer.ports.operation_store import AskedBefore, NewOperation, NodeNote, RequestName
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.operation_requests import KEPT_SECONDS
from kadeploy_deployer.store.operations import SqlOperationStore
from kadeploy_deployer.store.tables import metadata, node_locks
from kadeploy_sqlkit.migration_lock import migration_lock
from tests.fakes import dying_operator

pytestmark = pytest.mark.integration

NAMES = [f"node{number}" for number in range(50)]


def operation(name: str, *, age: float = 0.0) -> NewOperation:
    now = time.time() - age
    return NewOperation(id=f"op-{name}", owner="alice", lease_expires_at=now + 30.0, now=now)


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
    await store.open_request(operation("old", age=KEPT_SECONDS + 60), request("old"), NAMES, refused={})
    await store.open_request(operation("young", age=KEPT_SECONDS - 60), request("young"), NAMES, refused={})
    await store.open_request(operation("now"), request("now"), NAMES, refused={})
    known = {name: await store.known_request("alice", name) for name in ("old", "young", "now")}
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

    # The dead one's lease has expired; its caller asks another deployer, and then once more.
    for _ in range(2):
        async with asyncio.timeout(60):
            found = await dying_operator.reboot(text, tmp_path, dying_operator.LaterClock())
        assert found == {"node-1": "", "node-2": "OUTCOME_UNKNOWN", "node-3": ""}
    assert sorted(cuts.read_text().split()) == ["node-1", "node-2", "node-3"]


def test_a_database_of_the_release_before_is_brought_up_to_date(database: Database) -> None:
    config = schema._config()
    with database.engine.begin() as connection, migration_lock(connection):
        config.attributes["connection"] = connection
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
        command.upgrade(config, "0002")
        assert "operation_requests" not in inspect(connection).get_table_names()
        lock = {
            "node": "node1",
            "operation_id": "op-a",
            "owner": "alice",
            "lock_time": 1.0,
            "lease_expires_at": 2.0,
        }
        connection.execute(insert(node_locks).values(lock))
    assert schema.upgrade(database.engine) == schema.newest()
    with database.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(select(node_locks.c.operation_id)).scalar_one() == "op-a"
