"""RightService over a real server, on both databases: wildcards, expiry, the site's own partitions."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_inventory.domain.right import Right
from kadeploy_inventory.store.sql_store import SqlStore
from tests.integration.inventory.conftest import Client, Site
from tests.integration.inventory.requests import a_node, refusal, registering, words

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _nodes(site: Site) -> None:
    site.root.nodes.RegisterNodes(registering(a_node(1), a_node(2), a_node(10)))


def grant(site: Site, user: str, nodes: str, *partitions: str, **more: Timestamp) -> list[tuple[str, str, str]]:
    request = inventory_service_pb2.GrantRightsRequest(users=[user], nodes=nodes, partitions=partitions, **more)
    return [words(right) for right in site.root.rights.GrantRights(request).rights]


def revoke(site: Site, **wanted: object) -> list[tuple[str, str, str]]:
    request = inventory_service_pb2.RevokeRightsRequest(**wanted)  # type: ignore[arg-type]
    return [words(right) for right in site.root.rights.RevokeRights(request).rights]


def listed(client: Client, **wanted: str) -> list[tuple[str, str, str]]:
    request = inventory_service_pb2.ListRightsRequest(filter=inventory_service_pb2.RightFilter(**wanted))
    return [words(right) for right in client.rights.ListRights(request).rights]


def check(client: Client, user: str, nodes: str, partition: str = "") -> list[tuple[str, bool, list[str]]]:
    request = inventory_service_pb2.CheckRightsRequest(user=user, nodes=nodes, partition=partition)
    checks = client.rights.CheckRights(request).checks
    return [(each.node, each.allowed, list(each.partitions)) for each in checks]


def test_a_grant_is_users_by_nodes_by_partitions_and_may_be_repeated(site: Site) -> None:
    request = inventory_service_pb2.GrantRightsRequest(
        users=["alice", "bob"], nodes="node-[1-2]", partitions=["sda3", "sdb1"]
    )
    assert len(site.root.rights.GrantRights(request).rights) == 8
    assert len(site.root.rights.GrantRights(request).rights) == 8
    assert len(listed(site.root)) == 8


def test_a_right_is_checked_per_node_and_partition(site: Site) -> None:
    grant(site, "alice", "node-1", "sda3")
    grant(site, "alice", "node-2")
    assert check(site.deployer, "alice", "node-[1-2,10]", "sda3") == [
        ("node-1", True, ["sda3"]),
        ("node-2", True, ["*"]),
        ("node-10", False, []),
    ]
    assert check(site.deployer, "alice", "node-1", "sda1") == [("node-1", False, ["sda3"])]
    assert check(site.deployer, "alice", "node-1") == [("node-1", True, ["sda3"])]
    assert check(site.deployer, "bob", "node-1") == [("node-1", False, [])]


def test_wildcards_stand_for_every_user_node_and_partition(site: Site) -> None:
    assert grant(site, "*", "*") == [("*", "*", "*")]
    assert check(site.deployer, "alice", "node-10", "sda3") == [("node-10", True, ["*"])]


def test_the_site_s_own_partition_is_opened_by_its_name_alone(site: Site) -> None:
    grant(site, "alice", "node-1")
    assert check(site.deployer, "alice", "node-1", "sda2") == [("node-1", False, ["*"])]
    grant(site, "alice", "node-1", "sda2")
    assert check(site.deployer, "alice", "node-1", "sda2") == [("node-1", True, ["*", "sda2"])]


def test_a_right_counts_as_gone_after_its_time_and_a_new_grant_brings_it_back(site: Site) -> None:
    soon = Timestamp()
    soon.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    grant(site, "alice", "node-1", expire_time=soon)
    assert check(site.deployer, "alice", "node-1") == [("node-1", True, ["*"])]
    past = datetime.now(UTC) - timedelta(seconds=1)
    store = SqlStore(deploy=site.engines["deploy"], deploy_right=site.engines["deploy_right"])
    expired = Right(user="alice", node="node-1", partition="*", expire_time=past)
    store.change_rights(lambda work: work.rights.put([expired]))
    assert check(site.deployer, "alice", "node-1") == [("node-1", False, [])]
    assert listed(site.alice) == []
    grant(site, "alice", "node-1")
    assert check(site.deployer, "alice", "node-1") == [("node-1", True, ["*"])]


@pytest.mark.parametrize(
    ("users", "nodes", "partition", "reason"),
    [
        ([], "node-1", "*", "INVALID_RIGHT"),
        (["a b"], "node-1", "*", "INVALID_RIGHT"),
        (["alice"], "node-1", "sda", "INVALID_RIGHT"),
        (["alice"], "node-[1,77]", "*", "NODE_NOT_FOUND"),
        (["alice"], "", "*", "INVALID_NODE_SET"),
    ],
)
def test_a_bad_grant_is_refused(site: Site, users: list[str], nodes: str, partition: str, reason: str) -> None:
    request = inventory_service_pb2.GrantRightsRequest(users=users, nodes=nodes, partitions=[partition])
    assert refusal(lambda: site.root.rights.GrantRights(request)).reason == reason
    assert listed(site.root) == []


def test_a_grant_that_is_over_already_is_refused(site: Site) -> None:
    error = refusal(lambda: grant(site, "alice", "node-1", expire_time=Timestamp(seconds=1)))
    assert [each.field for each in error.violations] == ["expire_time"]


def test_what_is_taken_away_is_told_and_gone(site: Site) -> None:
    for user in ("alice", "bob"):
        grant(site, user, "node-[1-2]", "sda3")
    assert revoke(site, users=["alice"], nodes="node-1") == [("alice", "node-1", "sda3")]
    assert revoke(site, nodes="node-2") == [("alice", "node-2", "sda3"), ("bob", "node-2", "sda3")]
    assert revoke(site, partitions=["sda3"]) == [("bob", "node-1", "sda3")]
    assert revoke(site, partitions=["sda3"]) == []


def test_not_everything_is_taken_away_at_once(site: Site) -> None:
    grant(site, "alice", "node-1")
    assert refusal(lambda: revoke(site)).reason == "INVALID_RIGHT"
    assert listed(site.root) == [("alice", "node-1", "*")]


def test_a_user_sees_his_own_rights_and_administrators_see_all(site: Site) -> None:
    grant(site, "alice", "node-1")
    grant(site, "bob", "node-2")
    grant(site, "*", "node-10")
    everyone = ("*", "node-10", "*")
    assert listed(site.alice) == [everyone, ("alice", "node-1", "*")]
    assert listed(site.alice, user="alice", nodes="node-1") == [("alice", "node-1", "*")]
    assert len(listed(site.root)) == 3
    assert listed(site.root, user="bob") == [everyone, ("bob", "node-2", "*")]
    error = refusal(lambda: listed(site.alice, user="bob"))
    assert (error.code.name, error.reason) == ("PERMISSION_DENIED", "NOT_YOURS")
    assert refusal(lambda: check(site.alice, "bob", "node-1")).reason == "NOT_YOURS"
    assert check(site.alice, "", "node-1") == [("node-1", True, ["*"])]


def test_rights_are_listed_in_pages(site: Site) -> None:
    for partition in ("sda1", "sda2", "sda3"):
        grant(site, "alice", "node-1", partition)
    request = inventory_service_pb2.ListRightsRequest(page_size=2)
    first = site.alice.rights.ListRights(request)
    request.page_token = first.next_page_token
    second = site.alice.rights.ListRights(request)
    partitions = [right.partition for right in (*first.rights, *second.rights)]
    assert partitions == ["sda1", "sda2", "sda3"]
    assert second.next_page_token == ""
