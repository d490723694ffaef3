"""What every OperationStore does: the fake one, and the one in the database."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadeploy_deployer.app.operation_store import NewOperation, OperationStore, Renewal
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.operations import SqlOperationStore
from tests.fakes.deployment_world import make_database
from tests.fakes.fake_operation_store import FakeOperationStore

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
    assert await store.renew("op-a", now=now, lease_expires_at=now + 30) == Renewal(held=3)
    await store.release("op-a")
    assert await store.renew("op-a", now=now, lease_expires_at=now + 30) == Renewal(held=0)


async def test_nothing_is_known_of_nodes_that_were_never_deployed(store: OperationStore) -> None:
    known = await store.knowledge(["n1"])
    assert (known["n1"].host_keys, known["n1"].systems) == ((), ())
