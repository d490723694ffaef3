"""Messages to domain and back, without loss."""

from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from kadeploy.inventory.v1 import cluster_pb2, environment_pb2, node_pb2
from kadeploy_inventory.domain.cluster import Cluster
from kadeploy_inventory.domain.command_template import CommandTemplates
from kadeploy_inventory.domain.environment import (
    BootKind,
    BootSpec,
    OperatingSystem,
    Visibility,
)
from kadeploy_inventory.domain.node import Firmware
from kadeploy_inventory.domain.partition_table import PartitionRole, PartitionTable, complete_disk
from kadeploy_inventory.rpc.cluster_messages import cluster_from_message, cluster_to_message
from kadeploy_inventory.rpc.environment_messages import (
    environment_from_message,
    environment_to_message,
)
from kadeploy_inventory.rpc.node_messages import node_from_message, node_to_message
from kadeploy_inventory.rpc.update_mask import merged, violations
from kadeploy_inventory.rpc.wire_values import UnreadableValue, read_time, write_time
from tests.unit.inventory.builders import archive, disk, environment, full_profile, node, partition

FULL_NODE = node(
    firmware=Firmware.UEFI,
    bmc_address="10.1.0.1",
    commands=CommandTemplates(console=("conman", "{name}")),
    labels=MappingProxyType({"rack": "r1"}),
    uuid="b8945908-d6a6-41a9-611d-74a6ab80b83d",
    disks=(
        complete_disk(disk(partition(1, label="root", role=PartitionRole.PRODUCTION, environment="debian"))),
        complete_disk(disk(partition(9), device="sdb", partition_table=PartitionTable.GPT)),
    ),
)
FULL_ENVIRONMENT = environment(
    description="d",
    author="a@b",
    visibility=Visibility.SHARED,
    operating_system=OperatingSystem.XEN,
    preinstall=archive(script="none"),
    postinstalls=(archive(script="a", script_arguments=("--net", "debian")), archive(script="b")),
    boot=BootSpec(
        kind=BootKind.MULTIBOOT,
        kernel_path="/k",
        initrd_path="/i",
        kernel_arguments="ka",
        hypervisor_path="/h",
        hypervisor_arguments="ha",
        kexec_refused=True,
        partition=3,
    ),
    partition_type_id=0x8E,
    required_size_bytes=5,
    options="o",
    cluster="big",
    destructive=True,
    alias="debian-x64",
    architecture="x86_64",
    custom_variables={"BOOTLOADER": "1"},
    running_system_refused=True,
)


def test_a_node_survives_the_wire() -> None:
    assert node_from_message(node_to_message(FULL_NODE)) == FULL_NODE


def test_an_environment_survives_the_wire() -> None:
    assert environment_from_message(environment_to_message(FULL_ENVIRONMENT)) == FULL_ENVIRONMENT


def test_a_cluster_survives_the_wire() -> None:
    cluster = Cluster(name="big", profile=full_profile())
    assert cluster_from_message(cluster_to_message(cluster)) == cluster


@pytest.mark.parametrize(
    ("message", "full"),
    [
        (node_pb2.Node, node_to_message(FULL_NODE)),
        (environment_pb2.Environment, environment_to_message(FULL_ENVIRONMENT)),
        (cluster_pb2.Cluster, cluster_to_message(Cluster(name="big", profile=full_profile()))),
    ],
)
def test_no_field_of_the_contract_is_forgotten(message: type, full: object) -> None:
    made_by_the_server = {"uid", "etag", "create_time", "update_time", "node_count"}
    given = {field.name for field, _ in full.ListFields()}  # type: ignore[attr-defined]
    wanted = {field.name for field in message.DESCRIPTOR.fields}  # type: ignore[attr-defined]
    assert wanted - made_by_the_server <= given


def test_a_word_of_a_later_contract_is_refused() -> None:
    with pytest.raises(UnreadableValue) as refusal:
        node_from_message(node_pb2.Node(firmware=99))  # type: ignore[arg-type]
    assert refusal.value.violations[0].field == "firmware"


def test_a_time_out_of_range_is_refused_and_others_survive() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    message = write_time(now)
    assert message is not None
    assert read_time(message, "expire_time") == now
    with pytest.raises(UnreadableValue):
        read_time(Timestamp(seconds=10**13), "expire_time")


def test_a_mask_changes_what_it_names_and_nothing_else() -> None:
    present = node_to_message(FULL_NODE)
    wanted = node_pb2.Node(ip_address="10.9.9.9", labels={"room": "2"}, mac_address="ignored")
    result = merged(present, wanted, FieldMask(paths=["ip_address", "labels", "disks"]))
    assert (result.ip_address, dict(result.labels), len(result.disks)) == ("10.9.9.9", {"room": "2"}, 0)
    assert (result.mac_address, result.bmc_address) == (present.mac_address, present.bmc_address)


def test_a_masked_field_that_is_absent_with_all_around_it_is_cleared() -> None:
    result = merged(node_to_message(FULL_NODE), node_pb2.Node(), FieldMask(paths=["commands.console"]))
    assert not result.commands.HasField("console")


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ([], "must name"),
        (["name"], "cannot be changed"),
        (["uid"], "cannot be changed"),
        (["commands.nonsense"], "does not exist"),
        (["nonsense"], "cannot be changed"),
    ],
)
def test_a_mask_of_other_fields_is_refused(paths: list[str], said: str) -> None:
    found = violations(FieldMask(paths=paths), node_pb2.Node(), changeable={"commands"})
    assert said in found[0].description
