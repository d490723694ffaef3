"""What the port promises, on every engine that is at hand."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from kadeploy_inventory.app.ports import Work
from kadeploy_inventory.domain.cluster import Cluster
from kadeploy_inventory.domain.environment import Environment
from kadeploy_inventory.domain.environment_lookup import Search
from kadeploy_inventory.domain.errors import ConcurrentChange
from kadeploy_inventory.domain.node import Node
from kadeploy_inventory.domain.partition_table import complete_disk
from kadeploy_inventory.domain.right import Right
from kadeploy_inventory.store import tables
from kadeploy_inventory.store.right_repository import FEW
from kadeploy_inventory.store.sql_store import ATTEMPTS, SqlStore
from tests.unit.inventory.builders import archive, disk, environment, full_profile, node

pytestmark = pytest.mark.integration

UUID = "b8945908-d6a6-41a9-611d-74a6ab80b83d"
NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
MADE: dict[str, Any] = {"etag": "e", "create_time": NOW}


def a_stored_node(number: int, **changes: Any) -> Node:
    disks = (complete_disk(disk()), complete_disk(disk(device="sdb")))
    made = MADE | {"uid": f"u{number}", "update_time": NOW}
    return node(number, **({"disks": disks} | made | changes))


def add_environment(recorded: Environment, work: Work) -> None:
    work.environments.add(recorded)


def add(store: SqlStore, *nodes: Node) -> None:
    store.change_deploy(lambda work: work.nodes.add(nodes))


def test_nodes_come_back_as_they_went(store: SqlStore) -> None:
    nodes = [a_stored_node(number, labels={"rack": "é"}) for number in (1, 2, 3)]
    add(store, *nodes)
    found = store.read(lambda work: work.nodes.named(["node-1", "node-3", "none"]))
    assert found == {"node-1": nodes[0], "node-3": nodes[2]}


def test_a_page_begins_after_its_key_in_natural_order(store: SqlStore) -> None:
    add(store, *(a_stored_node(number) for number in (1, 2, 10, 20)))

    def page(work: Work) -> list[Node]:
        after = ("node-012", "node-2")
        return work.nodes.page(names=None, cluster="", after=after, limit=5)

    assert [each.name for each in store.read(page)] == ["node-10", "node-20"]


def test_addresses_tell_their_holders(store: SqlStore) -> None:
    add(store, a_stored_node(1, uuid=UUID), a_stored_node(2), a_stored_node(3))
    assert store.read(lambda work: work.nodes.with_uuids([UUID, "x"])) == {UUID: "node-1"}
    macs = store.read(lambda work: work.nodes.with_mac_addresses(["52:54:00:00:00:01", "x"]))
    ips = store.read(lambda work: work.nodes.with_ip_addresses(["10.0.0.1"]))
    assert (macs, ips) == ({"52:54:00:00:00:01": "node-1"}, {"10.0.0.1": "node-1"})


def test_replacing_needs_the_present_etag(store: SqlStore) -> None:
    add(store, a_stored_node(1))
    changed = a_stored_node(1, etag="f", disks=(), ip_address="10.1.1.1")
    assert not store.change_deploy(lambda work: work.nodes.replace(changed, etag="old"))
    assert store.change_deploy(lambda work: work.nodes.replace(changed, etag="e"))
    assert store.read(lambda work: work.nodes.named(["node-1"])) == {"node-1": changed}


def test_removing_takes_disks_and_partitions_along(store: SqlStore) -> None:
    add(store, a_stored_node(1), a_stored_node(2))
    store.change_deploy(lambda work: work.nodes.remove(["node-1"]))
    add(store, a_stored_node(1, disks=()))
    assert store.read(lambda work: work.nodes.named(["node-1"]))["node-1"].disks == ()


@pytest.mark.parametrize(
    "spoilt",
    [
        {"uid": "u1"},
        {"name": "node-1"},
        {"mac_address": "52:54:00:00:00:01"},
        {"ip_address": "10.0.0.1"},
        {"uuid": UUID},
        {"cluster": "none"},
    ],
)
def test_the_database_itself_refuses_doubles_and_strangers_and_keeps_nothing_of_the_call(
    store: SqlStore, spoilt: dict[str, str]
) -> None:
    add(store, a_stored_node(1, uuid=UUID))
    with pytest.raises(ConcurrentChange):
        add(store, a_stored_node(2), a_stored_node(3, **spoilt))
    assert store.read(lambda work: work.nodes.named(["node-2", "node-3"])) == {}


def test_a_disk_belongs_to_a_node_and_a_partition_to_a_disk_and_both_go_with_it(
    store: SqlStore, engines: dict[str, Engine]
) -> None:
    add(store, a_stored_node(1))
    stray_disk = {"node_uid": "nobody", "device": "sda"}
    stray_partition = {"node_uid": "u1", "device": "sdz", "number": 1}
    for table, changes in ((tables.disks, stray_disk), (tables.partitions, stray_partition)):
        with engines["deploy"].connect() as connection:
            present = dict(connection.execute(select(table)).mappings().first() or {})
            with pytest.raises(IntegrityError):
                connection.execute(insert(table).values(**(present | changes)))
    with engines["deploy"].begin() as connection:
        connection.execute(delete(tables.nodes))
        for table in (tables.disks, tables.partitions):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


def test_a_use_case_that_met_another_writer_is_run_again(store: SqlStore) -> None:
    add(store, a_stored_node(1))
    runs: list[None] = []

    def register(work: Work) -> None:
        runs.append(None)
        if len(runs) < ATTEMPTS:
            work.nodes.add([a_stored_node(2), a_stored_node(1)])

    store.change_deploy(register)
    assert len(runs) == ATTEMPTS
    assert store.read(lambda work: work.nodes.named(["node-2"])) == {}


def test_clusters_come_back_as_they_went_and_count_their_nodes(store: SqlStore) -> None:
    cluster = Cluster(name="big", profile=full_profile(), update_time=NOW, **MADE)
    store.change_deploy(lambda work: work.clusters.add(cluster))
    assert store.read(lambda work: work.clusters.named(["big"])) == {"big": cluster}
    add(store, a_stored_node(1, cluster="big"))
    assert store.read(lambda work: work.clusters.named(["big"])["big"].node_count) == 1
    with pytest.raises(ConcurrentChange):
        store.change_deploy(lambda work: work.clusters.remove("big"))


@pytest.mark.parametrize("preinstall", [None, archive()])
def test_environments_come_back_as_they_went(store: SqlStore, preinstall: Any) -> None:
    recorded = environment(preinstall=preinstall, postinstalls=(archive(),), uid="u", **MADE)
    store.change_deploy(lambda work: work.environments.add(recorded))
    assert store.read(lambda work: work.environments.find("debian", None, Search(owner="alice"))) == recorded
    assert store.read(lambda work: work.environments.recorded_names(["debian", "x"])) == {"debian"}


def test_names_that_differ_by_case_are_different(store: SqlStore) -> None:
    for uid, name in (("u", "debian"), ("v", "Debian")):
        recorded = environment(name, uid=uid, **MADE)
        store.change_deploy(functools.partial(add_environment, recorded))
    found = store.read(lambda work: work.environments.find("Debian", None, Search(owner="alice")))
    assert found is not None
    assert found.uid == "v"


def test_rights_are_put_found_and_removed_by_their_words(store: SqlStore) -> None:
    rights = [
        Right(user=user, node=node_, partition="sda3", expire_time=NOW)
        for user in ("alice", "bob")
        for node_ in ("*", "node-1")
    ]
    store.change_rights(lambda work: work.rights.put(rights))
    store.change_rights(lambda work: work.rights.put(rights))
    found = store.read(lambda work: work.rights.matching(users=["bob"], nodes=[], partitions=["sda3"]))
    assert found == rights[2:]
    store.change_rights(lambda work: work.rights.remove(rights[:3]))
    assert store.read(lambda work: work.rights.matching(users=[], nodes=[], partitions=[])) == rights[3:]


@pytest.mark.parametrize("nodes", [["node-1"], ["node-1", *(f"other-{number}" for number in range(FEW))]])
@pytest.mark.parametrize(
    ("right", "opens"),
    [
        ({}, True),
        ({"user": "*"}, True),
        ({"node": "*"}, True),
        ({"user": "bob"}, False),
        ({"user": "Alice"}, False),
        ({"node": "node-2"}, False),
        ({"partition": "sda30"}, False),
        ({"expire_time": NOW}, False),
        ({"expire_time": NOW - timedelta(seconds=1)}, False),
        ({"expire_time": NOW + timedelta(microseconds=1)}, True),
    ],
)
def test_what_is_granted_is_the_user_s_and_everybody_s_and_ends_with_its_time(
    store: SqlStore, nodes: list[str], right: dict[str, Any], opens: bool
) -> None:
    put = Right(**({"user": "alice", "node": "node-1", "partition": "sda3"} | right))
    store.change_rights(lambda work: work.rights.put([put]))
    granted = store.read(lambda work: work.rights.granted(user="alice", nodes=nodes, now=NOW))
    assert granted.allows("node-1", "sda3") is opens


def test_a_failing_use_case_writes_nothing(store: SqlStore) -> None:
    def fail(work: Work) -> None:
        work.nodes.add([a_stored_node(1)])
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        store.change_deploy(fail)
    assert store.read(lambda work: work.nodes.named(["node-1"])) == {}
