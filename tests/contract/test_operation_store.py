"""What every OperationStore does: the fake one, and the one in the database."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadeploy_deployer.app.operation_store import NewOperation, OperationStore
from kadeploy_deployer.domain.errors import NodesBusy
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.states import BusyPolicy
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from kadeploy_deployer.store.operations import SqlOperationStore
from tests.fakes.deployment_world import SPEC, World, make_database, new_deployment
from tests.fakes.fake_operation_store import FakeOperationStore
from tests.fakes.scripted_step import straight_plan

pytestmark = pytest.mark.integration


def operation(name: str, *, owner: str = "alice", age: float = 0.0) -> NewOperation:
    now = time.time() - age
    return NewOperation(id=f"op-{name}", owner=owner, lease_expires_at=now + 30.0, now=now)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


@pytest.fixture(params=["fake", "sql"])
def store(request: pytest.FixtureRequest, database: Database) -> OperationStore:
    return FakeOperationStore() if request.param == "fake" else SqlOperationStore(database)


async def test_what_is_free_is_locked_and_the_holders_of_the_rest_are_told(store: OperationStore) -> None:
    assert await store.lock_nodes(operation("a"), ["n1", "n2"]) == {}
    assert await store.lock_nodes(operation("b"), ["n2", "n3"]) == {"n2": "op-a"}
    assert await store.lock_nodes(operation("c"), ["n1", "n3"]) == {"n1": "op-a", "n3": "op-b"}
    await store.release("op-a")
    assert await store.lock_nodes(operation("d"), ["n1", "n2", "n3"]) == {"n3": "op-b"}


async def test_a_console_has_one_holder(store: OperationStore) -> None:
    assert await store.take_console(operation("a"), "n1") == ""
    assert await store.take_console(operation("b", owner="bob"), "n1") == "alice"
    await store.release("op-a")
    assert await store.take_console(operation("b", owner="bob"), "n1") == ""


async def test_what_is_held_is_renewed_and_what_is_not_is_not(store: OperationStore) -> None:
    await store.lock_nodes(operation("a"), ["n1", "n2"])
    await store.take_console(operation("a"), "n3")
    now = time.time()
    assert await store.renew("op-a", now=now, lease_expires_at=now + 30) == 3
    await store.release("op-a")
    assert await store.renew("op-a", now=now, lease_expires_at=now + 30) == 0


async def test_nothing_is_known_of_nodes_that_were_never_deployed(store: OperationStore) -> None:
    known = await store.knowledge(["n1"])
    assert (known["n1"].host_keys, known["n1"].systems) == ((), ())


# --- what only the database can show ---


async def test_the_locks_of_a_dead_deployer_expire_with_their_lease_for_everybody(database: Database) -> None:
    store, deployments = SqlOperationStore(database), SqlDeploymentStore(database)
    await store.lock_nodes(operation("dead", age=60.0), ["node1", "node2"])
    await store.take_console(operation("dead", age=60.0), "node1")
    await store.lock_nodes(operation("alive"), ["node3"])

    now = time.time()
    assert await store.renew("op-dead", now=now, lease_expires_at=now + 30) == 0
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
