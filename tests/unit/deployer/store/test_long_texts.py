"""Deployments with long texts: lists do not read them, also where an earlier release wrote them without a bound."""

import json
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from kadeploy_deployer.domain.snapshot import LISTED_NODES, ArchiveSnapshot, DeploymentSpec, FileSnapshot
from kadeploy_deployer.ports.store_values import DeploymentFilter
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from kadeploy_deployer.store.tables import metadata
from tests.fakes.deployment_world import environment, new_deployment
from tests.fakes.old_schema import at_revision

pytestmark = pytest.mark.integration

ALL = DeploymentFilter()
LONG = "x" * 1_000_000
ARCHIVE = ArchiveSnapshot(file=FileSnapshot(uri="file:///a", digest="sha256:0", size_bytes=1), script="s" * 2000)
SPEC = DeploymentSpec(
    nodes=",".join(f"node{number}" for number in range(20_000)),
    environment_name="debian",
    authorized_keys=("ssh-ed25519 " + "A" * 8000,) * 100,
    kernel_arguments="k" * 4000,
)
ENVIRONMENT = replace(environment(), postinstalls=(ARCHIVE,) * 16)


async def test_a_list_tells_a_short_form_and_the_deployment_itself_is_whole(store: SqlDeploymentStore) -> None:
    new = replace(new_deployment("long", ["node1"]), spec=SPEC, environment=ENVIRONMENT)
    await store.create(new)

    (listed,) = await store.list_deployments(ALL, after=None, limit=10)
    assert listed.spec == replace(SPEC, nodes=f"{SPEC.nodes[:LISTED_NODES]}…", authorized_keys=(), kernel_arguments="")
    assert listed.environment == ENVIRONMENT.listed
    (partition,) = await store.list_partitions([], after=None, limit=10)
    assert partition.environment == ENVIRONMENT.listed

    whole = await store.get("long")
    assert (whole.spec, whole.environment) == (SPEC, ENVIRONMENT)
    assert (await store.load("long")).operation.spec == SPEC


async def test_the_rows_that_lists_read_are_short(store: SqlDeploymentStore, database: Database) -> None:
    await store.create(replace(new_deployment("long", ["node1"]), spec=SPEC, environment=ENVIRONMENT))
    with database.engine.begin() as connection:
        row = connection.exec_driver_sql("SELECT * FROM deployments").one()
    assert sum(len(value) for value in row if isinstance(value, str)) < 4000


async def test_what_is_known_of_systems_is_read_once_for_all_nodes_of_a_deployment(
    store: SqlDeploymentStore, database: Database
) -> None:
    names = [f"node{number}" for number in range(50)]
    await store.create(replace(new_deployment("long", names), spec=SPEC, environment=ENVIRONMENT))
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE partition_states SET state = 'deployed'")
    known = await SqlDeploymentStore(database).knowledge(names)
    assert {one.systems[0].spec for one in known.values()} == {SPEC}
    assert {one.systems[0].environment for one in known.values()} == {ENVIRONMENT}
    assert len({id(one.systems[0].spec) for one in known.values()}) == 1


OLD = """
INSERT INTO deployments (id, state, owner, spec, environment, step, attempt, version, driver,
lease_expires_at, fence, cancel_requested, cancel_reason, wait_until, last_sequence, create_time, description)
VALUES (:id, 'error', 'alice', :spec, :environment, '', 0, 1, '', 0, 1, 1, :long, 0, 0, 50, :long)
"""
OLD_INPUTS = """
INSERT INTO deployment_inputs (deployment_id, secret, profiles, nodes) VALUES (:id, 's', '{}', '')
"""
OLD_PARTITION = """
INSERT INTO partition_states (node, device, partition_number, deployment_id, state, reason, description, update_time)
VALUES ('node1', 'vda', 3, :id, 'error', 'cancelled', :long, 50)
"""


async def test_what_an_earlier_release_wrote_without_a_bound_does_lists_no_harm(database: Database) -> None:
    spec = {"nodes": LONG, "environment_name": "debian", "authorized_keys": [LONG], "reformat_tmp": LONG}
    old_environment = {
        "name": "debian",
        "version": 2,
        "owner": "root",
        "image": {"uri": "file:///i", "digest": "sha256:1", "size_bytes": 7, "compression": "zstd"},
        "options": "o" * 2000,
    }
    with at_revision(database, "0004") as connection:
        values = {"id": "old", "spec": json.dumps(spec), "environment": json.dumps(old_environment), "long": LONG}
        for statement in (OLD, OLD_INPUTS, OLD_PARTITION):
            connection.execute(text(statement), {name: values[name] for name in values if f":{name}" in statement})
    schema.upgrade(database.engine)
    with database.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        row = connection.exec_driver_sql("SELECT * FROM deployments").one()
        assert sum(len(value) for value in row if isinstance(value, str)) < 20_000

    store = SqlDeploymentStore(database)
    (listed,) = await store.list_deployments(ALL, after=None, limit=10)
    assert (listed.spec.environment_name, listed.spec.authorized_keys) == ("debian", ())
    assert (listed.environment.version, listed.environment.image.size_bytes) == (2, 7)
    (partition,) = await store.list_partitions([], after=None, limit=10)
    assert len(partition.description) < 5000
    whole = await store.get("old")
    assert whole.spec.nodes == LONG
    assert whole.environment.options == "o" * 2000
