"""Which nodes can take part."""

from dataclasses import replace

import pytest

from kadeploy_deployer.domain.eligibility import obstacle
from kadeploy_deployer.domain.snapshot import DiskSnapshot, NodeSnapshot, PartitionSnapshot
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.domain.vocabulary import PartitionRole, PartitionType
from tests.fakes.deployment_world import GIB, environment, node


def with_partition(**changes: object) -> NodeSnapshot:
    partition = replace(PartitionSnapshot(number=3, size_bytes=4 * GIB), **changes)  # type: ignore[arg-type]
    return replace(node("node1"), disks=(DiskSnapshot(device="vda", size_bytes=8 * GIB, partitions=(partition,)),))


def test_a_node_with_a_big_enough_partition_takes_part() -> None:
    exactly = replace(environment(), required_size_bytes=4 * GIB)

    assert obstacle(node("node1"), environment()) is None
    assert obstacle(node("node1"), exactly) is None


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        (None, FailureReason.UNKNOWN_NODE),
        (replace(node("node1"), partition=9), FailureReason.UNKNOWN_PARTITION),
        (replace(node("node1"), device="sdz"), FailureReason.UNKNOWN_PARTITION),
        (with_partition(type=PartitionType.EXTENDED), FailureReason.UNKNOWN_PARTITION),
        (with_partition(role=PartitionRole.SWAP), FailureReason.UNKNOWN_PARTITION),
        (with_partition(size_bytes=999), FailureReason.PARTITION_TOO_SMALL),
    ],
)
def test_a_node_that_cannot_take_part_is_told_why(snapshot: NodeSnapshot | None, reason: FailureReason) -> None:
    found = obstacle(snapshot, environment())

    assert found is not None
    assert (found.reason, found.retriable) == (reason, False)


def test_an_environment_that_needs_more_than_the_partition_has_is_refused() -> None:
    needs_more = replace(environment(), required_size_bytes=4 * GIB + 1)

    found = obstacle(node("node1"), needs_more)

    assert found is not None
    assert found.description == f"debian needs {4 * GIB + 1} bytes, the partition has {4 * GIB}"
