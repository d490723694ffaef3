"""A database of an earlier release, with history and a deployment that runs, is brought up to date on each engine."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import URL

from kadeploy_deployer.domain.states import DeploymentState, PartitionState
from kadeploy_deployer.ports.store_values import DeploymentFilter
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.codec import dumps
from kadeploy_deployer.store.database import Database, make_engine
from kadeploy_deployer.store.node_documents import pack
from tests.fakes.deployment_world import SPEC, World, environment, node
from tests.fakes.scripted_step import straight_plan
from tests.mariadb import MariadbServer

pytestmark = pytest.mark.integration

BEFORE = "0004"
NODES = ("node1", "node2", "node3", "node4")


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[URL]:
    """Yields the URL of a database with the schema of an earlier release."""
    if request.param == "sqlite":
        engine = make_engine(f"sqlite:///{tmp_path / 'old.sqlite'}")
        schema.upgrade(engine, to=BEFORE)
        engine.dispose()
        yield engine.url
        return
    server: MariadbServer = request.getfixturevalue("mariadb_server")
    with server.database() as name:
        engine = make_engine(server.url(name))
        schema.upgrade(engine, to=BEFORE)
        engine.dispose()
        yield server.url(name)


def insert(engine: Engine, table: str, **values: Any) -> None:
    """Inserts a row as the earlier release did."""
    place = "?" if engine.dialect.paramstyle == "qmark" else "%s"
    statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join([place] * len(values))})"  # noqa: S608
    with engine.begin() as connection:
        connection.exec_driver_sql(statement, tuple(values.values()))


def fill(engine: Engine) -> None:
    """Puts a deployment that has ended into the database, and one that runs, in its second step."""
    deployment = {
        "owner": "alice",
        "spec": dumps(SPEC),
        "environment": dumps(environment()),
        "attempt": 1,
        "version": 7,
        "cancel_requested": False,
        "cancel_reason": "",
        "wait_until": 0.0,
        "last_sequence": 0,
        "create_time": 1000.0,
        "start_time": 1000.0,
        "lease_expires_at": 0.0,
        "fence": 1,
    }
    ended = {"id": "ended", "state": "terminated", "step": "reboot", "driver": "", "end_time": 1100.0}
    # Its deployer was stopped for the upgrade, and gave it back.
    running = {"id": "running", "state": "deploying", "step": "write", "driver": ""}
    insert(engine, "deployments", **deployment, **ended, description="1 of 1 nodes deployed")
    insert(engine, "deployments", **deployment, **running, description="")
    for name, taken in (("ended", NODES[:1]), ("running", NODES)):
        inputs = {"secret": "s", "profiles": json.dumps({"main": {}}), "nodes": pack([node(one) for one in taken])}
        insert(engine, "deployment_inputs", deployment_id=name, **inputs)
    common = {"device": "vda", "partition_number": 3, "attempt": 1, "start_time": 1000.0, "step_start_time": 1010.0}
    rows = [
        ("ended", "node1", "deployed", "reboot", True, "", ""),
        # Done with the journalled step, still in it, not yet in it, and failed before it.
        ("running", "node1", "deploying", "write", True, "", ""),
        ("running", "node2", "deploying", "write", False, "", ""),
        ("running", "node3", "to_deploy", "boot", True, "", ""),
        ("running", "node4", "error", "boot", False, "internal", "broken"),
    ]
    for position, (name, one, state, step, done, reason, text) in enumerate(rows):
        values = {"state": state, "step": step, "step_done": done, "reason": reason, "description": text}
        insert(engine, "deployment_nodes", deployment_id=name, node=one, position=position, **common, **values)
    records = [("ended", "node1", "boot"), ("ended", "node1", "write"), ("ended", "node1", "reboot")]
    records += [("running", one, "boot") for one in NODES[:3]] + [("running", "node1", "write")]
    for name, one, step in records:
        end = {"boot": 1010.0, "write": 1020.0, "reboot": 1030.0}[step]
        times = {"start_time": 1000.0, "end_time": end, "attempts": 1, "succeeded": True}
        insert(engine, "node_steps", deployment_id=name, node=one, step=step, **times)
    for one in NODES:
        insert(engine, "node_locks", node=one, deployment_id="running", owner="alice", lock_time=1000.0)
        insert(engine, "node_records", node=one, last_deployment_id="running")
        states = {"state": "deploying", "reason": "", "description": "", "update_time": 1000.0}
        where = {"node": one, "device": "vda", "partition_number": 3}
        insert(engine, "partition_states", **where, deployment_id="running", **states)


async def test_history_stays_and_what_runs_goes_on_where_each_node_is(url: URL) -> None:
    engine = make_engine(url)
    fill(engine)
    assert schema.upgrade(engine) == schema.present(engine) == schema.newest()
    engine.dispose()

    database = Database(url)
    bootable: list[str] = []

    async def recover(_context: object, one: str) -> None:
        bootable.append(one)

    plan = straight_plan()
    world = World(database=database, plan=plan, recover=recover)
    old = await world.store.get("ended")
    assert (old.state, [step.step for step in old.nodes[0].steps]) == (
        DeploymentState.TERMINATED,
        ["boot", "write", "reboot"],
    )
    world.supervisor.open()
    deployment = await world.finished("running")
    await world.supervisor.close()
    counted = await world.store.list_deployments(DeploymentFilter(), after=None, limit=9)
    locked = await world.store.holders(NODES)
    database.close()

    assert [sorted(step.runs) for step in plan] == [[], ["node2", "node3"], ["node1", "node2", "node3"]]
    assert [one.state for one in deployment.nodes] == [*[PartitionState.DEPLOYED] * 3, PartitionState.ERROR]
    assert [[step.step for step in one.steps] for one in deployment.nodes[:3]] == [["boot", "write", "reboot"]] * 3
    assert bootable == ["node4"]
    assert locked == {}
    assert {one.id for one in counted} == {"ended", "running"}
    assert time.time() - (deployment.end_time or 0) < 60
