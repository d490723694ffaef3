"""Whether a node can take part in a deployment, judged by what the inventory says and nothing else."""

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, NodeSnapshot
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.domain.vocabulary import PartitionRole, PartitionType

ARCHITECTURE_LABEL = "arch"


def obstacle(
    node: NodeSnapshot | None, environment: EnvironmentSnapshot, *, whole_disk: bool = False
) -> Failure | None:
    """Returns why a node must be left out, or None. `whole_disk`: the target is the disk and not a partition of it."""
    if node is None:
        return _left_out(FailureReason.UNKNOWN_NODE, "not registered")
    wanted, found = environment.architecture, node.labels.get(ARCHITECTURE_LABEL, "")
    if wanted and found and wanted != found:
        text = f"{environment.name} is for {wanted}, and its label {ARCHITECTURE_LABEL} says {found}"
        return _left_out(FailureReason.UNKNOWN_NODE, text)
    return _disk_obstacle(node, environment) if whole_disk else _partition_obstacle(node, environment)


def _partition_obstacle(node: NodeSnapshot, environment: EnvironmentSnapshot) -> Failure | None:
    target = node.target
    if target is None:
        return _left_out(FailureReason.UNKNOWN_PARTITION, f"no partition {node.partition} on {node.device}")
    if target.type is PartitionType.EXTENDED or target.role is PartitionRole.SWAP:
        kind = "an extended partition" if target.type is PartitionType.EXTENDED else "for swap"
        text = f"partition {node.partition} on {node.device} is {kind}"
        return _left_out(FailureReason.UNKNOWN_PARTITION, text)
    needed = environment.least_size_bytes
    if needed > target.size_bytes:
        text = f"{environment.name} needs {needed} bytes, the partition has {target.size_bytes}"
        return _left_out(FailureReason.PARTITION_TOO_SMALL, text)
    return None


def _disk_obstacle(node: NodeSnapshot, environment: EnvironmentSnapshot) -> Failure | None:
    if node.disk is None:
        return _left_out(FailureReason.UNKNOWN_PARTITION, f"no disk {node.device}")
    needed = environment.least_size_bytes
    if needed > node.disk.size_bytes:
        text = f"{environment.name} needs {needed} bytes, the disk has {node.disk.size_bytes}"
        return _left_out(FailureReason.PARTITION_TOO_SMALL, text)
    return None


def _left_out(reason: FailureReason, description: str) -> Failure:
    return Failure(reason=reason, description=description, retriable=False)
