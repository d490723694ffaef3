"""Names and addresses of a lab's machines."""

from pathlib import Path

import pytest

from kadeploy_lab import plan
from kadeploy_lab.errors import LabError

DIRECTORY = Path("/srv/checkout/build/lab/demo")


def test_nodes_get_their_names_and_addresses_in_order() -> None:
    nodes = plan.plan_nodes("demo", DIRECTORY, 3)

    assert [(node.name, node.mac, node.ip, node.bmc_address) for node in nodes] == [
        ("node-1", "52:54:00:4b:00:01", "172.31.0.11", "172.31.1.11"),
        ("node-2", "52:54:00:4b:00:02", "172.31.0.12", "172.31.1.12"),
        ("node-3", "52:54:00:4b:00:03", "172.31.0.13", "172.31.1.13"),
    ]


def test_a_node_keeps_its_disk_and_log_in_the_lab_directory() -> None:
    (node,) = plan.plan_nodes("demo", DIRECTORY, 1)

    assert node.disk == DIRECTORY / "nodes" / "node-1" / "disk.img"
    assert node.serial_log == DIRECTORY / "nodes" / "node-1" / "serial.log"


def test_labs_of_one_name_in_two_checkouts_have_different_namespaces() -> None:
    other = Path("/home/alice/checkout/build/lab/demo")

    assert plan.namespace("demo", DIRECTORY) != plan.namespace("demo", other)
    assert plan.namespace("demo", DIRECTORY).startswith("kalab-demo-")


def test_sockets_fit_into_a_socket_address_however_deep_the_checkout_is() -> None:
    deep = Path("/srv").joinpath(*["a-rather-long-directory-name"] * 10)

    (*_, last) = plan.plan_nodes("n" * 32, deep, plan.MAX_NODES)

    assert len(str(last.serial_socket)) < 100


def test_every_node_of_the_largest_lab_has_addresses_of_its_own() -> None:
    nodes = plan.plan_nodes("big", DIRECTORY, plan.MAX_NODES)

    assert len({node.ip for node in nodes} | {node.bmc_address for node in nodes}) == 128
    assert len({node.mac for node in nodes}) == 64


@pytest.mark.parametrize("count", [0, -1, 65])
def test_a_lab_without_nodes_or_with_too_many_is_refused(count: int) -> None:
    with pytest.raises(LabError, match=r"1 to 64 nodes"):
        plan.plan_nodes("demo", DIRECTORY, count)


@pytest.mark.parametrize("name", ["", "Demo", "a/b", "../up", "-x", "n" * 33, "a b"])
def test_a_name_that_cannot_be_a_namespace_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="cannot name a lab"):
        plan.check_name(name)
