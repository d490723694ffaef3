"""Words of an inventory that is newer than the deployer: refused, never guessed."""

from typing import Any

import pytest

from kadeploy.inventory.v1 import cluster_pb2, environment_pb2, inventory_service_pb2, node_pb2
from kadeploy_deployer.adapters.enum_words import UnknownValue
from kadeploy_deployer.adapters.inventory_messages import environment, profile
from kadeploy_deployer.adapters.inventory_nodes import NodeReader
from kadeploy_deployer.domain.vocabulary import Compression, ImageKind, PartitionRole

NEW: Any = 77
"""A value that this deployer's contract does not have."""


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (environment_pb2.Environment(image=environment_pb2.Image(kind=NEW)), "image.kind"),
        (environment_pb2.Environment(image=environment_pb2.Image(compression=NEW)), "compression"),
        (environment_pb2.Environment(operating_system=NEW), "environment.operating_system"),
        (environment_pb2.Environment(boot=environment_pb2.BootSpec(kind=NEW)), "boot.kind"),
    ],
)
def test_an_environment_with_an_unknown_word_is_refused(message: environment_pb2.Environment, field: str) -> None:
    with pytest.raises(UnknownValue, match=f"says {field} = 77, which this deployer does not know"):
        environment(message)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (cluster_pb2.ClusterProfile(boot_method=NEW), "cluster.boot_method"),
        (cluster_pb2.ClusterProfile(reboot_ladder=[cluster_pb2.REBOOT_LEVEL_SOFT, NEW]), "cluster.reboot_ladder"),
    ],
)
def test_a_profile_with_an_unknown_word_is_refused(message: cluster_pb2.ClusterProfile, field: str) -> None:
    with pytest.raises(UnknownValue, match=f"says {field} = 77"):
        profile(message)


@pytest.mark.parametrize(
    ("node", "field"),
    [
        (node_pb2.Node(firmware=NEW), "node.firmware"),
        (node_pb2.Node(disks=[node_pb2.Disk(partition_table=NEW)]), "disk.partition_table"),
        (node_pb2.Node(disks=[node_pb2.Disk(partitions=[node_pb2.Partition(type=NEW)])]), "partition.type"),
        (node_pb2.Node(disks=[node_pb2.Disk(partitions=[node_pb2.Partition(role=NEW)])]), "partition.role"),
    ],
)
def test_a_node_with_an_unknown_word_is_refused(node: node_pb2.Node, field: str) -> None:
    answer = inventory_service_pb2.ResolveDeploymentResponse(
        nodes=[inventory_service_pb2.ResolvedNode(name="node-1", node=node)]
    )
    with pytest.raises(UnknownValue, match=f"says {field} = 77"):
        NodeReader().read(answer)


def test_what_the_inventory_leaves_out_is_what_the_contract_says() -> None:
    found = environment(environment_pb2.Environment(name="debian"))
    assert (found.kind, found.image.compression) == (ImageKind.TAR, Compression.NONE)
    disk = node_pb2.Disk(partitions=[node_pb2.Partition(number=1)])
    answer = inventory_service_pb2.ResolveDeploymentResponse(
        nodes=[inventory_service_pb2.ResolvedNode(name="node-1", node=node_pb2.Node(disks=[disk]))]
    )
    [node] = NodeReader().read(answer)
    assert node.snapshot is not None
    assert node.snapshot.disks[0].partitions[0].role is PartitionRole.DEPLOY
