"""The migrations and the tables."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text

from kadeploy_deployer.domain.lease_record import LeaseKind
from kadeploy_deployer.domain.states import DeploymentState, FailureReason, OperationKind, OperationNodeState
from kadeploy_deployer.ports.store_values import OperationFilter
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database, InvalidDatabaseUrl, make_engine
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from kadeploy_deployer.store.schema import SchemaOutdated
from kadeploy_deployer.store.tables import deployments, metadata
from tests.fakes.deployment_world import claim_all, make_database
from tests.fakes.old_schema import at_revision


def test_the_migrations_make_the_tables_of_this_release(database: Database) -> None:
    with database.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_migrations_make_the_same_checks(tmp_path: Path) -> None:
    database = make_database(tmp_path)
    other = make_engine(f"sqlite:///{tmp_path / 'other.sqlite'}")
    with other.begin() as connection:
        metadata.create_all(connection)
    found = []
    for engine in (database.engine, other):
        with engine.begin() as connection:
            rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql LIKE '%CHECK%'").all()
        found.append({row.name: sorted(" ".join(line.split()) for line in _checks(row.sql)) for row in rows})
    other.dispose()
    database.close()

    assert found[0] == found[1]
    assert "deployments" in found[0]


def _checks(sql: str) -> list[str]:
    return [line.rstrip(", ") for line in sql.splitlines() if "CHECK" in line]


def test_upgrading_twice_does_nothing_the_second_time(database: Database) -> None:
    assert schema.upgrade(database.engine) == schema.present(database.engine) == schema.newest()


def test_a_database_without_tables_is_refused_with_advice(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    with pytest.raises(SchemaOutdated, match="kadeploy-deployer db upgrade"):
        schema.check(engine)
    engine.dispose()


@pytest.mark.parametrize("url", ["sqlite://", "postgresql://somewhere/x", "no url"])
def test_a_database_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(InvalidDatabaseUrl):
        make_engine(url)


OLD_ROWS = """
INSERT INTO deployments (id, state, waiting_slot, owner, request_id, spec, environment, step, attempt, version, driver,
lease_expires_at, fence, cancel_requested, cancel_reason, wait_until, last_sequence, create_time, description)
VALUES ('waits', 'waiting', 1, 'alice', 'r-1', '{}', '{}', '', 0, 1, 'dead', 1e12, 1, 0, '', 160, 0, 100, '');
INSERT INTO deployments (id, state, owner, spec, environment, step, attempt, version, driver,
lease_expires_at, fence, cancel_requested, cancel_reason, wait_until, last_sequence, create_time, description)
VALUES ('runs', 'deploying', 'root', '{}', '{}', 'format', 1, 7, 'dead', 1e12, 2, 0, '', 50, 9, 50, '');
INSERT INTO node_locks (node, deployment_id, owner, lock_time) VALUES ('n1', 'runs', 'root', 50);
INSERT INTO node_locks (node, operation_id, owner, lock_time, lease_expires_at) VALUES ('n2', 'op-a', 'bob', 50, 1e12);
INSERT INTO console_slots (node, operation_id, owner, start_time, lease_expires_at)
VALUES ('n3', 'op-c', 'bob', 50, 1e12);
INSERT INTO operation_requests
(id, operation_id, owner, request_id, fingerprint, create_time, lease_expires_at, stop_asked, ended)
VALUES ('op-a', 'op-a', 'bob', 'r-2', 'f', 50, 1e12, 0, 0), ('op-b', 'op-b', 'bob', 'r-3', 'f', 50, 0, 0, 0);
INSERT INTO queue_places (ticket, owner, request_id, expires_at) VALUES (5, 'carol', 'r-4', 1e12)
"""


async def test_what_the_release_before_left_is_held_and_ends_when_nobody_renews_it(database: Database) -> None:
    with at_revision(database, "0004") as connection:
        for statement in OLD_ROWS.split(";"):
            connection.exec_driver_sql(statement)
    assert schema.upgrade(database.engine) == schema.newest()
    with database.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        query = select(deployments).where(deployments.c.kind == "deployment").order_by(deployments.c.id)
        found = connection.execute(query).all()
        assert [(row.id, row.needs_right, row.fingerprint, row.wait_seconds) for row in found] == [
            ("runs", False, None, 0.0),
            ("waits", False, None, 60.0),
        ]

    store = SqlDeploymentStore(database)
    held = await store.list_leases()
    assert [(lease.kind, lease.name, lease.seconds, lease.renewals) for lease in held[:2]] == [
        (LeaseKind.DEPLOYMENT, "runs", 30.0, 0),
        (LeaseKind.DEPLOYMENT, "waits", 30.0, 0),
    ]
    assert {(lease.kind, lease.name) for lease in held[2:]} == {(LeaseKind.QUEUE_PLACE, "5")}
    known_operations = [await store.find_request("bob", name) for name in ("r-2", "r-3")]
    assert [one.deployment_id for one in known_operations if one is not None] == ["op-a", "op-b"]

    await store.free(held)
    assert await store.holders(["n1", "n2"]) == {"n1": "runs"}
    assert {lease.deployment_id for lease in await claim_all(store, "new")} == {"runs", "waits"}
    known = await store.find_request("alice", "r-1")
    assert known is not None
    assert (known.deployment_id, known.fingerprint) == ("waits", None)


OPERATIONS = """
INSERT INTO deployments (id, state, owner, request_id, spec, environment, version, driver, lease_expires_at, fence,
cancel_requested, cancel_reason, last_sequence, create_time, end_time, description)
VALUES ('d-1', 'terminated', 'alice', 'r-taken', '{}', '{}', 7, '', 0, 2, 0, '', 9, 50, 60, 'done');
INSERT INTO deployments (id, state, owner, spec, environment, version, driver, lease_expires_at, fence,
cancel_requested, cancel_reason, last_sequence, create_time, description)
VALUES ('d-2', 'deploying', 'alice', '{}', '{}', 7, 'dead', 0, 2, 0, '', 9, 50, '');
INSERT INTO deployment_nodes (deployment_id, node, position, device, partition_number, state, step, attempt, reason,
description) VALUES ('d-1', 'n1', 0, 'sda', 3, 'deployed', 'boot', 1, '', ''),
('d-2', 'n2', 0, 'sda', 3, 'deploying', 'format', 1, '', '');
INSERT INTO node_locks (node, deployment_id, owner, lock_time) VALUES ('n2', 'd-2', 'alice', 50);
INSERT INTO node_locks (node, operation_id, owner, lock_time) VALUES ('n4', 'op-power-2', 'bob', 50);
INSERT INTO console_slots (node, operation_id, owner, start_time) VALUES ('n1', 'op-c', 'bob', 50);
INSERT INTO operation_leases (operation_id, lease_seconds, renewals) VALUES ('op-power-2', 30, 4), ('op-c', 30, 4);
INSERT INTO operation_requests (id, operation_id, owner, request_id, fingerprint, create_time, stop_asked, ended)
VALUES ('op-reboot-1', 'op-reboot-1', 'bob', 'r-1', 'f1', 51, 0, 1),
('op-power-2', 'op-power-2', 'bob', 'r-2', 'f2', 52, 0, 0),
('op-reboot-3', 'op-reboot-3', 'alice', 'r-taken', 'f3', 53, 0, 1);
INSERT INTO operation_nodes (operation_request_id, node, begun, outcome) VALUES ('op-reboot-1', 'n1', 1, ''),
('op-reboot-1', 'n3', 1, ''), ('op-power-2', 'n1', 1, ''), ('op-power-2', 'n4', 1, NULL), ('op-power-2', 'n5', 0, NULL),
('op-power-2', 'n9', 0,
'{"kind": "Missing", "reason": "NODE_NOT_FOUND", "message": "n9 is not registered", "metadata": {}}')
"""


async def test_operations_of_the_release_before_are_told_again_and_hold_nothing(database: Database) -> None:
    with at_revision(database, "0007") as connection:
        for statement in OPERATIONS.split(";"):
            connection.execute(text(statement.replace(":", r"\:")))
    assert schema.upgrade(database.engine) == schema.newest()
    with database.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    store = SqlDeploymentStore(database)
    assert await store.holders(["n1", "n2", "n3", "n4"]) == {"n2": "d-2"}
    assert [(lease.kind, lease.name) for lease in await store.list_leases()] == [(LeaseKind.DEPLOYMENT, "d-2")]

    listed = await store.list_operations(OperationFilter(), after=None, limit=9)
    assert [(one.id, one.spec.kind, one.state, one.owner) for one in listed] == [
        ("op-power-2", OperationKind.POWER, DeploymentState.ERROR, "bob"),
        ("op-reboot-1", OperationKind.REBOOT, DeploymentState.TERMINATED, "bob"),
    ]
    known = await store.find_request("bob", "r-2")
    assert known is not None
    assert (known.deployment_id, known.fingerprint) == ("op-power-2", "f2")
    nodes = {node.node: (node.state, node.reason) for node in (await store.get_operation("op-power-2")).nodes}
    assert nodes == {
        "n1": (OperationNodeState.DONE, None),
        "n4": (OperationNodeState.ERROR, FailureReason.OUTCOME_UNKNOWN),
        "n5": (OperationNodeState.ERROR, FailureReason.CANCELLED),
        "n9": (OperationNodeState.ERROR, FailureReason.UNKNOWN_NODE),
    }
    # The name was a deployment's, too; it keeps it.
    taken = await store.find_request("alice", "r-taken")
    assert taken is not None
    assert taken.deployment_id == "d-1"
    # Old ones go as young ones do.
    assert await store.drop_operations(before=100.0)
    assert await store.list_operations(OperationFilter(), after=None, limit=9) == []
