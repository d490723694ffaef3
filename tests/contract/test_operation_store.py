"""What every OperationStore does: the fake one, and the one in the database."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadeploy_deployer.domain.control_errors import NodeNotFound, PowerFailed
from kadeploy_deployer.domain.error_record import ErrorRecord
from kadeploy_deployer.ports.operation_store import (
    AskedBefore,
    NewOperation,
    NodeNote,
    OperationStore,
    Renewal,
    RequestName,
)
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from kadeploy_deployer.store.operations import SqlOperationStore
from tests.fakes.deployment_world import make_database
from tests.fakes.fake_operation_store import FakeOperationStore

pytestmark = pytest.mark.integration


def operation(name: str, *, owner: str = "alice", age: float = 0.0) -> NewOperation:
    now = time.time() - age
    return NewOperation(id=f"op-{name}", owner=owner, lease_seconds=30.0, now=now)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


@pytest.fixture(params=["fake", "sql"])
def store(request: pytest.FixtureRequest, database: Database) -> OperationStore:
    return FakeOperationStore() if request.param == "fake" else SqlOperationStore(database)


async def nobody_renews(store: OperationStore, database: Database) -> None:
    """Frees what operations hold, as when their deployers are dead."""
    if isinstance(store, FakeOperationStore):
        store.leases.clear()
        return
    deployments = SqlDeploymentStore(database)
    await deployments.free(await deployments.list_leases())


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
    assert await store.renew("op-a") == Renewal(held=True)
    await store.release("op-a")
    assert await store.renew("op-a") == Renewal(held=False)


async def test_nothing_is_known_of_nodes_that_were_never_deployed(store: OperationStore) -> None:
    known = await store.knowledge(["n1"])
    assert (known["n1"].host_keys, known["n1"].systems) == ((), ())


# --- requests that can be made again ---

REQUEST = RequestName(owner="alice", request_id="r-1", fingerprint="reboot n1 n2")
NO_NODE = ErrorRecord.from_error(NodeNotFound("n9"))


async def outcomes(store: OperationStore) -> dict[str, str]:
    """Returns the reasons of the nodes that have an outcome, empty where it went well."""
    known = await store.known_request("alice", "r-1")
    assert known is not None
    return {node: error_record.reason if error_record else "" for node, error_record in known.outcomes.items()}


async def test_a_request_has_one_operation_and_remembers_what_became_of_each_node(store: OperationStore) -> None:
    assert await store.known_request("alice", "r-1") is None
    refused = {"n9": NO_NODE}
    assert await store.open_request(operation("a"), REQUEST, ["n1", "n2", "n9"], refused=refused) == refused
    with pytest.raises(AskedBefore):
        await store.open_request(operation("b"), REQUEST, ["n1", "n2"], refused={})
    error_record = ErrorRecord.from_error(PowerFailed("n2 has no controller", metadata={"node": "n2"}))
    assert await store.note_nodes(
        "op-a", [NodeNote(node="n1"), NodeNote(node="n2", ended=True, error_record=error_record)]
    )
    assert not await store.note_nodes("op-b", [NodeNote(node="n1", ended=True)])
    assert await outcomes(store) == {"n9": "NODE_NOT_FOUND", "n2": "POWER_FAILED"}

    await store.note_nodes("op-a", [NodeNote(node="n1", ended=True)])
    await store.release("op-a")
    known = await store.known_request("alice", "r-1")
    assert known is not None
    assert known.ended
    assert known.outcomes == {"n1": None, "n2": error_record, "n9": NO_NODE}
    with pytest.raises(AskedBefore):
        await store.open_request(operation("c"), REQUEST, ["n1", "n2"], refused={})


async def test_the_same_id_of_another_user_is_another_request(store: OperationStore) -> None:
    await store.open_request(operation("a"), REQUEST, ["n1"], refused={})
    assert await store.known_request("bob", "r-1") is None
    other = RequestName(owner="bob", request_id="r-1", fingerprint="")
    assert await store.open_request(operation("b", owner="bob"), other, ["n1"], refused={}) == {}


@pytest.mark.parametrize("end", ["died", "stopped in order"])
async def test_who_takes_a_request_over_gets_what_was_not_begun(
    store: OperationStore, end: str, database: Database
) -> None:
    await store.open_request(operation("a"), REQUEST, ["n1", "n2", "n3"], refused={})
    await store.note_nodes("op-a", [NodeNote(node="n1", ended=True), NodeNote(node="n2")])
    if end == "died":
        await nobody_renews(store, database)
    else:
        await store.release("op-a")

    found = await store.open_request(operation("b"), REQUEST, ["n1", "n2", "n3"], refused={})
    assert {node: error_record and error_record.reason for node, error_record in found.items()} == {
        "n1": None,
        "n2": "OUTCOME_UNKNOWN",
    }
    # The old one wakes up, and can change nothing.
    assert not await store.note_nodes("op-a", [NodeNote(node="n3")])
    assert await store.note_nodes("op-b", [NodeNote(node="n2", ended=True), NodeNote(node="n3", ended=True)])
    assert await outcomes(store) == {"n1": "", "n2": "OUTCOME_UNKNOWN", "n3": ""}


async def test_whoever_drives_a_request_learns_with_their_lease_that_it_is_to_stop(
    store: OperationStore, database: Database
) -> None:
    assert not await store.ask_stop("alice", "r-1")
    await store.open_request(operation("a"), REQUEST, ["n1"], refused={})
    await store.lock_nodes(operation("a"), ["n1"])
    assert not (await store.renew("op-a")).stop_asked
    assert await store.ask_stop("alice", "r-1")
    assert await store.renew("op-a") == Renewal(held=True, stop_asked=True)
    known = await store.known_request("alice", "r-1")
    assert known is not None
    assert (known.is_abandoned, known.stop_asked) == (False, True)
    await nobody_renews(store, database)
    known = await store.known_request("alice", "r-1")
    assert known is not None
    assert (known.is_abandoned, known.stop_asked) == (True, True)


async def test_old_requests_that_nobody_drives_are_forgotten(store: OperationStore, database: Database) -> None:
    await store.open_request(operation("a", age=60.0), REQUEST, ["n1"], refused={})
    assert not await store.forget_requests(before=time.time())
    await nobody_renews(store, database)
    assert not await store.forget_requests(before=time.time() - 90.0)
    assert await store.forget_requests(before=time.time())
    assert await store.known_request("alice", "r-1") is None


async def test_who_takes_a_request_over_gets_the_marks_of_what_was_begun(
    store: OperationStore, database: Database
) -> None:
    name = RequestName(owner="alice", request_id="r-marks", fingerprint="f")
    await store.open_request(operation("dead"), name, ["n1", "n2", "n3", "n4"], refused={})
    notes = [NodeNote(node="n1", mark="boot-1 token"), NodeNote(node="n2"), NodeNote(node="n3", mark=" token")]
    assert await store.note_nodes("op-dead", notes)
    assert await store.note_nodes("op-dead", [NodeNote(node="n3", ended=True)])
    await nobody_renews(store, database)

    outcomes = await store.open_request(operation("heir"), name, ["n1", "n2", "n3", "n4"], refused={})

    assert {node: error.reason if error else "" for node, error in outcomes.items()} == {
        "n2": "OUTCOME_UNKNOWN",
        "n3": "",
    }
    assert await store.marks("op-heir") == {"n1": "boot-1 token"}
    assert await store.marks("op-dead") == {}
