"""What partitions are declared to hold, on both engines: found as what was deployed, and counted by nobody."""

import pytest

from kadeploy_deployer.domain.declaration import Declaration, DeclaredPartition
from kadeploy_deployer.domain.errors import DeploymentNotFound
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot
from kadeploy_deployer.ports.store_values import Created, DeploymentFilter, Interval, OperationFilter
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.deployment_world import environment, new_deployment

KEY = "ssh-ed25519 REFERENCE"
BOTH = ("node1", "node2")


def declaration(
    number: int = 1, *, nodes: tuple[str, ...] = BOTH, now: float = 100.0, empty: bool = False
) -> Declaration:
    found: EnvironmentSnapshot | None = None if empty else environment()
    return Declaration(
        id=f"declared-{number}",
        owner="root",
        spec=DeploymentSpec(nodes=",".join(nodes), environment_name="debian"),
        environment=found,
        partitions=tuple(
            DeclaredPartition(node=node, device="vda", partition=3, host_keys=(KEY,) if node == "node1" else ())
            for node in nodes
        ),
        now=now,
    )


async def test_what_is_declared_is_known_and_no_deployment(store: SqlDeploymentStore) -> None:
    assert await store.declare(declaration()) == {}
    known = await store.knowledge(BOTH)
    (first,), (second,) = (known[node].systems for node in BOTH)
    assert (first.declared, first.environment.name, first.facts.host_keys) == (True, "debian", (KEY,))
    assert second.facts.host_keys == ()
    rows = await store.list_partitions(BOTH, after=None, limit=10)
    assert [(row.node, row.partition, row.state, row.owner) for row in rows] == [
        ("node1", 3, "deployed", "root"),
        ("node2", 3, "deployed", "root"),
    ]
    assert await store.list_deployments(DeploymentFilter(), after=None, limit=10) == []
    assert await store.list_operations(OperationFilter(), after=None, limit=10) == []
    counted = await store.statistics(Interval(), ())
    assert (counted.months, counted.nodes) == ((), ())
    with pytest.raises(DeploymentNotFound):
        await store.get("declared-1")


async def test_a_node_that_is_held_keeps_what_it_had(store: SqlDeploymentStore) -> None:
    created = await store.create(new_deployment("D-1", ["node2"]))
    assert isinstance(created, Created)
    assert await store.declare(declaration()) == {"node2": "D-1"}
    rows = await store.list_partitions((), after=None, limit=10)
    assert [(row.node, row.deployment_id) for row in rows] == [("node1", "declared-1"), ("node2", "D-1")]


async def test_a_deployment_takes_the_place_of_what_was_declared_and_the_other_way_round(
    store: SqlDeploymentStore,
) -> None:
    await store.declare(declaration(1))
    await store.create(new_deployment("D-1", ["node1"]))
    assert (await store.knowledge(["node1"]))["node1"].systems == ()
    assert await store.declare(declaration(2, nodes=("node2",), empty=True)) == {}
    assert (await store.knowledge(["node2"]))["node2"].systems == ()


async def test_a_declaration_is_kept_as_long_as_a_partition_has_what_it_says(store: SqlDeploymentStore) -> None:
    await store.declare(declaration(1, now=100.0))
    assert await store.drop_operations(before=1000.0) is False
    await store.declare(declaration(2, now=200.0))
    assert await store.drop_operations(before=1000.0) is True
    assert await store.drop_operations(before=1000.0) is False
    assert len((await store.knowledge(["node1"]))["node1"].systems) == 1
