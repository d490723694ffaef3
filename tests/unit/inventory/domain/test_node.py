"""Nodes with their disks: unique, within bounds."""

from datetime import UTC, datetime

import pytest

from kadeploy_inventory.domain.node import Node, check_node, rename_environments
from kadeploy_inventory.domain.partition_table import PartitionRole
from kadeploy_inventory.domain.problems import Problems
from tests.unit.inventory.builders import disk, node, partition


def checked(description: Node) -> tuple[Node, list[str]]:
    problems = Problems()
    here = problems.under("nodes[3]")
    result = check_node(description, here, here)
    return result, [each.field for each in problems.found]


def test_a_description_is_brought_into_its_normal_form() -> None:
    result, fields = checked(node(1, mac_address="52-54-00-AA-BB-CC", cluster=""))
    assert fields == []
    assert (result.mac_address, result.cluster) == ("52:54:00:aa:bb:cc", "default")


@pytest.mark.parametrize(
    ("spoilt", "field"),
    [
        (node(name="Node"), "nodes[3].name"),
        (node(mac_address="x"), "nodes[3].mac_address"),
        (node(ip_address="x"), "nodes[3].ip_address"),
        (node(cluster="a b"), "nodes[3].cluster"),
        (node(bmc_address="-x"), "nodes[3].bmc_address"),
        (node(labels={"a b": "c"}), "nodes[3].labels"),
        (node(labels={"a": "c\n"}), "nodes[3].labels['a']"),
        (node(disks=(disk(), disk())), "nodes[3].disks[1].device"),
        (node(disks=(disk(), disk(partition(1, -1), device="sdb"))), "nodes[3].disks[1].partitions[0].size_bytes"),
    ],
)
def test_a_problem_names_the_field_by_its_path(spoilt: Node, field: str) -> None:
    assert checked(spoilt)[1] == [field]


def test_every_problem_is_named_at_once() -> None:
    _, fields = checked(node(name="", mac_address="", ip_address=""))
    assert fields == ["nodes[3].name", "nodes[3].mac_address", "nodes[3].ip_address"]


def test_a_node_is_as_described_whatever_the_server_added() -> None:
    now = datetime.now(UTC)
    registered = node(uid="1", etag="2", create_time=now, update_time=now)
    assert registered.is_as_described(node())
    assert not registered.is_as_described(node(bmc_address="other"))


@pytest.mark.parametrize(("found", "wanted"), [("undefined", "debian"), ("debian", "undefined"), ("a", "a")])
def test_an_environment_that_came_or_went_does_not_make_a_node_another(found: str, wanted: str) -> None:
    registered = node(disks=(disk(partition(3, environment=found)),))
    assert registered.is_as_described(node(disks=(disk(partition(3, environment=wanted)),)))


def test_another_environment_makes_it_another() -> None:
    registered = node(disks=(disk(partition(3, environment="debian")),))
    assert not registered.is_as_described(node(disks=(disk(partition(3, environment="ubuntu")),)))


def test_unknown_environments_become_undefined() -> None:
    described = node(disks=(disk(partition(1, environment="swap"), partition(3, environment="old")),))
    renamed = rename_environments(described, frozenset({"swap"}))
    assert [each.environment for each in renamed.disks[0].partitions] == ["swap", "undefined"]


def test_the_controller_is_called_after_the_node_unless_told() -> None:
    assert node().controller("") == "node-1-bmc"
    assert node().controller("{name}.mgmt") == "node-1.mgmt"
    assert node(bmc_address="10.1.0.1").controller("{name}.mgmt") == "10.1.0.1"


def test_the_role_of_a_partition_is_found_by_device_and_number() -> None:
    production = partition(2, role=PartitionRole.PRODUCTION)
    found = node(disks=(disk(production),))
    assert found.role_of("sda", 2) is PartitionRole.PRODUCTION
    assert found.role_of("sda", 9) is None
    assert found.role_of("sdb", 2) is None
