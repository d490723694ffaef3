"""Nodes that were read before are told as they stand now, whoever changed them, on every engine that is at hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from kadeploy_inventory.app.ports import Work
from kadeploy_inventory.domain.node import Node
from kadeploy_inventory.store.known_nodes import KnownNodes
from kadeploy_inventory.store.sql_store import SqlStore
from tests.integration.inventory.conftest import opened
from tests.integration.inventory.test_repositories import a_stored_node, add

pytestmark = pytest.mark.integration

NAMES = ["node-1", "node-2", "none"]


@pytest.fixture
def neighbour(urls: dict[str, Any]) -> Iterator[SqlStore]:
    """The store of another process on the same databases."""
    with opened(urls) as engines:
        yield SqlStore(deploy=engines["deploy"], deploy_right=engines["deploy_right"])


def read(store: SqlStore) -> dict[str, Node]:
    return store.read(lambda work: work.nodes.named(NAMES))


@pytest.fixture
def known(store: SqlStore) -> dict[str, Node]:
    """Two nodes that the store has read."""
    add(store, a_stored_node(1, etag="a"), a_stored_node(2, etag="b"))
    return read(store)


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Yields the statements that are run meanwhile."""
    run: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        run.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield run
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_what_another_process_changed_is_told(store: SqlStore, neighbour: SqlStore, known: dict[str, Node]) -> None:
    changed = a_stored_node(1, etag="c", ip_address="10.9.9.9", disks=())
    assert neighbour.change_deploy(lambda work: work.nodes.replace(changed, etag="a"))
    assert read(store) == {"node-1": changed, "node-2": known["node-2"]}


def test_what_another_process_removed_is_gone_and_what_took_its_name_is_told(
    store: SqlStore, neighbour: SqlStore, known: dict[str, Node]
) -> None:
    neighbour.change_deploy(lambda work: work.nodes.remove(["node-1"]))
    assert read(store) == {"node-2": known["node-2"]}
    anew = a_stored_node(1, uid="u9", etag="d", disks=())
    add(neighbour, anew)
    assert read(store)["node-1"] == anew


def test_nodes_that_stand_as_they_were_are_not_read_again(
    store: SqlStore, engines: dict[str, Engine], known: dict[str, Node]
) -> None:
    add(store, a_stored_node(3, etag="e"))
    with statements(engines["deploy"]) as run:
        assert read(store) == known
    assert not [statement for statement in run if "partitions" in statement]


def test_a_transaction_sees_its_own_changes_and_one_that_failed_leaves_none(
    store: SqlStore, known: dict[str, Node]
) -> None:
    changed = a_stored_node(1, etag="c", disks=())

    def change_and_fail(work: Work) -> None:
        work.nodes.replace(changed, etag="a")
        assert work.nodes.named(NAMES)["node-1"] == changed
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        store.change_deploy(change_and_fail)
    assert read(store) == known


def test_no_more_nodes_are_known_than_there_is_room_for() -> None:
    nodes = {f"node-{number}": a_stored_node(number, etag="a") for number in range(5)}
    etags = dict.fromkeys(nodes, "a")
    known = KnownNodes(most=3)
    known.keep([nodes["node-0"], nodes["node-1"]])
    assert list(known.standing(etags)) == ["node-0", "node-1"]
    known.keep([nodes["node-2"], nodes["node-3"]])
    assert list(known.standing(etags)) == ["node-2", "node-3"]
    known.keep(list(nodes.values()))
    assert len(known.standing(etags)) == 3
