"""What the database guarantees about operations: leases that expire, and one holder for each node."""

import asyncio
import time
from collections import Counter

import pytest
from sqlalchemy.engine import URL

from kadeploy_deployer.domain.errors import NodesBusy
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.states import BusyPolicy
from kadeploy_deployer.ports.operation_store import NewOperation, Renewal
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from kadeploy_deployer.store.operations import SqlOperationStore
from tests.fakes.deployment_world import SPEC, World, new_deployment
from tests.fakes.scripted_step import straight_plan

pytestmark = pytest.mark.integration


def operation(name: str, *, age: float = 0.0) -> NewOperation:
    now = time.time() - age
    return NewOperation(id=f"op-{name}", owner="alice", lease_seconds=30.0, now=now)


async def test_of_rival_operations_exactly_one_gets_each_node(url: URL, database: Database) -> None:
    names = [f"node{number}" for number in range(20)]
    others = [Database(url) for _ in range(3)]
    stores = [SqlOperationStore(one) for one in (database, *others)]
    busy = await asyncio.gather(*(store.lock_nodes(operation(str(i)), names) for i, store in enumerate(stores)))
    won = Counter(name for one in busy for name in names if name not in one)
    assert won == dict.fromkeys(names, 1)
    for one in others:
        one.close()


async def test_what_a_dead_deployer_holds_is_freed_for_everybody(database: Database) -> None:
    store, deployments = SqlOperationStore(database), SqlDeploymentStore(database)
    await store.lock_nodes(operation("dead"), ["node1", "node2"])
    await store.take_console(operation("dead"), "node1")
    await store.lock_nodes(operation("alive"), ["node3"])
    seen = await deployments.list_leases()
    assert await store.renew("op-alive") == Renewal(held=True)
    await deployments.free(seen)

    # It wakes up, and holds nothing any more, although nobody has taken it yet.
    assert await store.renew("op-dead") == Renewal(held=False)
    assert await store.lock_nodes(operation("next"), ["node1"]) == {}
    assert await store.take_console(operation("next"), "node1") == ""
    await deployments.create(new_deployment("d-1", ["node2"]))
    assert await deployments.holders(["node1", "node2", "node3"]) == {
        "node1": "op-next",
        "node2": "d-1",
        "node3": "op-alive",
    }


async def test_a_deployment_and_an_operation_exclude_each_other(database: Database) -> None:
    store, deployments = SqlOperationStore(database), SqlDeploymentStore(database)
    await store.lock_nodes(operation("a"), ["node1"])
    with pytest.raises(NodesBusy, match=r"node1 \(operation op-a\)"):
        await deployments.create(new_deployment("d-1", ["node1"], busy_policy=BusyPolicy.FAIL))
    await deployments.create(new_deployment("d-2", ["node2"]))
    assert await store.lock_nodes(operation("b"), ["node2"]) == {"node2": "d-2"}


async def test_what_a_deployment_left_is_known_with_its_environment_and_facts(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    deployment = await world.run(SPEC)
    store = SqlOperationStore(database)
    known = await store.knowledge(["node1", "node2"])
    (system,) = known["node2"].systems
    assert (system.device, system.partition, system.deployment_id) == ("vda", 3, deployment.id)
    assert (system.environment, system.spec) == (deployment.environment, deployment.spec)
    assert isinstance(system.facts, NodeFacts)

    await store.note_running("op-nobody", "node1", ["ssh-ed25519 A"])
    assert (await store.knowledge(["node1"]))["node1"].host_keys == ()
    await store.lock_nodes(operation("a"), ["node1"])
    await store.note_running("op-a", "node1", ["ssh-ed25519 A"])
    assert (await store.knowledge(["node1"]))["node1"].host_keys == ("ssh-ed25519 A",)
    await world.supervisor.close()
