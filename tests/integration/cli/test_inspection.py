"""`ka node inspect` and `ka node discover`, against a deployer that only says what machines there are."""

import json

import pytest

from kadeploy.deployer.v1 import machine_pb2
from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions import nodes_yaml
from kadeploy_cli.ka import ka
from tests.fakes.site import Run, Site

pytestmark = pytest.mark.integration

GIB = 1 << 30
MACHINE = machine_pb2.Machine(
    address="10.0.0.1",
    uuid="b8945908-d6a6-41a9-611d-74a6ab80b83d",
    vendor="Dell Inc.",
    product="PowerEdge R640",
    serial="ABC123",
    firmware="uefi",
    memory_bytes=192 * GIB,
    processors=64,
    sockets=2,
    processor_model="Intel(R) Xeon(R)",
    console="ttyS0,115200",
    controller_address="10.1.0.1",
    cards=[
        machine_pb2.NetworkCard(name="eth0", mac_address="52:54:00:00:00:10", driver="tg3", path="0000:04:00.0"),
        machine_pb2.NetworkCard(
            name="eth1", mac_address="52:54:00:00:00:01", driver="ixgbe", path="0000:19:00.0", is_boot_card=True
        ),
    ],
    disks=[
        machine_pb2.MachineDisk(
            name="sda", size_bytes=480 * GIB, serial="S3Z9", wwn="0x5002538e4034d5a1", device="sda"
        ),
        machine_pb2.MachineDisk(name="sdb", size_bytes=2 * GIB, serial="USB", removable=True),
    ],
)


def known(name: str = "node-1") -> node_pb2.Node:
    partition = node_pb2.Partition(
        number=3,
        size_bytes=40 * GIB,
        type=node_pb2.PARTITION_TYPE_PRIMARY,
        type_id=0x83,
        role=node_pb2.PARTITION_ROLE_DEPLOY,
        environment="debian",
    )
    disk = node_pb2.Disk(
        device="sda",
        size_bytes=400 * GIB,
        partition_table=node_pb2.PARTITION_TABLE_GPT,
        partitions=[partition],
    )
    return node_pb2.Node(name=name, mac_address="52:54:00:00:00:01", ip_address="10.0.0.1", disks=[disk])


def test_what_is_printed_is_what_kaaddnode_takes(run: Run, site: Site) -> None:
    site.inventory.nodes["node-1"] = known()
    site.deployer.control.machines = {"node-1": MACHINE}
    result = run(ka, ["node", "inspect", "node-1"])
    assert result.exit_code == 0, result.stderr
    assert "# Dell Inc. PowerEdge R640, serial number ABC123" in result.stdout
    assert "# card eth1: 52:54:00:00:00:01, ixgbe, 0000:19:00.0, boots" in result.stdout
    (node,) = nodes_yaml.parse(result.stdout, "stdout").nodes
    assert (node.name, node.mac_address, node.ip_address) == ("node-1", "52:54:00:00:00:01", "10.0.0.1")
    assert (node.uuid, node.bmc_address, node.firmware) == (MACHINE.uuid, "10.1.0.1", node_pb2.FIRMWARE_UEFI)
    (disk,) = node.disks
    assert (disk.device, disk.size_bytes, disk.identity.wwn) == ("sda", 480 * GIB, "0x5002538e4034d5a1")
    assert list(disk.partitions) == list(known().disks[0].partitions)
    assert [type(request).__name__ for request in site.deployer.control.requests] == ["InspectNodesRequest"]


def test_nodes_that_run_something_else_are_booted_first_unless_they_are_to_be_left_alone(run: Run, site: Site) -> None:
    site.deployer.control.elsewhere = {"node-1"}
    site.deployer.control.machines = {"node-1": MACHINE}
    result = run(ka, ["node", "inspect", "node-1", "--no-reboot"])
    assert result.exit_code == 3
    assert "node-1 does not run the deployment environment" in result.stderr
    result = run(ka, ["node", "inspect", "node-1", "-o", "json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)[0]["machine"]["processors"] == 64
    asked = [type(request).__name__ for request in site.deployer.control.requests]
    assert asked[1:] == ["InspectNodesRequest", "RebootNodesRequest", "InspectNodesRequest"]
    assert site.deployer.control.requests[2].WhichOneof("target") == "deployment_kernel"


def test_check_says_what_differs_and_its_status_too(run: Run, site: Site) -> None:
    site.deployer.control.machines = {"node-1": MACHINE, "node-2": MACHINE}
    site.deployer.control.differences = {"node-2": ("its firmware is uefi, and the inventory says bios",)}
    result = run(ka, ["node", "inspect", "node-[1-2]", "--check"])
    assert result.exit_code == 1
    assert [line.split(maxsplit=1) for line in result.stdout.splitlines()[1:]] == [
        ["node-1", "as described"],
        ["node-2", "its firmware is uefi, and the inventory says bios"],
    ]


def test_machines_that_nobody_registered_are_named_by_their_card(run: Run, site: Site) -> None:
    site.deployer.control.machines = {"": MACHINE}
    result = run(ka, ["node", "discover", "10.0.0.0/24"])
    assert result.exit_code == 0, result.stderr
    (node,) = nodes_yaml.parse(result.stdout, "stdout").nodes
    assert (node.name, node.mac_address) == ("machine-525400000001", "52:54:00:00:00:01")
    assert "1 unregistered and 0 registered machines" in result.stderr
    site.inventory.nodes["node-1"] = known()
    result = run(ka, ["node", "discover", "10.0.0.0/24"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "0 unregistered and 1 registered machines" in result.stderr
    assert "name: node-1" in run(ka, ["node", "discover", "10.0.0.0/24", "--all"]).stdout
