"""What is installed on every partition, by which deployment: the inventory's partitions with the deployer's states."""

from typing import Any

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.nodes import actions as nodes
from kadeploy_cli.nodes import holders
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.plain import timestamp, word

COLUMNS = (
    "NODE",
    "PARTITION",
    "SIZE",
    "ROLE",
    "STATE",
    "ENVIRONMENT",
    "DEPLOYMENT",
    "OWNER",
    "SINCE",
    "HELD BY",
    "DESCRIPTION",
)
LEAST = ("DEPLOYMENT", "OWNER", "SIZE", "ROLE", "SINCE")
"""Columns that are left out first where there is no room."""

Key = tuple[str, str, int]


def show_list(session: Session, wanted: str, cluster: str = "") -> ExitCode:
    """Prints every partition of a node set, of all nodes for the empty one."""
    found = nodes.fetch(session, wanted, cluster)
    states = fetch_states(session, wanted)
    held = holders.fetch_holders(session, wanted)
    data = [
        holders.entry(held.get(node.name))
        | entry(node.name, disk, partition, states.get((node.name, disk.device, partition.number)))
        for node in found
        for disk in node.disks
        for partition in disk.partitions
    ]
    output.show(
        session.form,
        columns=COLUMNS,
        rows=[_row(item, holders.short(held.get(item["node"]))) for item in data],
        data=data,
        names=[f"{item['node']}:{item['name']}" for item in data],
        least=LEAST,
    )
    nodes.tell_missing(session, found, wanted, cluster)
    return ExitCode.OK


def fetch_states(session: Session, wanted: str) -> dict[Key, deployer_service_pb2.PartitionStatus]:
    """Returns what the deployer knows, by node, device and partition number."""
    deployer = session.deployer
    request = deployer_service_pb2.ListPartitionStatesRequest(nodes=wanted)
    rows = deployer.pages(deployer.states.ListPartitionStates, request, lambda page: page.partitions)
    return {(row.node, row.device, row.partition): row for row in rows}


def entry(
    node: str,
    disk: node_pb2.Disk,
    partition: node_pb2.Partition,
    status: deployer_service_pb2.PartitionStatus | None,
) -> dict[str, Any]:
    """Returns one partition as plain data. Without a state, what it was registered with is all that is known."""
    known: dict[str, Any] = {
        "node": node,
        "device": disk.device,
        "partition": partition.number,
        "name": nodes.partition_name(disk.device, partition.number),
        "size_bytes": partition.size_bytes,
        "role": word(node_pb2.PartitionRole.DESCRIPTOR, partition.role),
        "registered_environment": partition.environment,
        "state": "",
        "environment": partition.environment,
        "environment_version": None,
        "environment_owner": "",
        "image_digest": "",
        "deployment_id": "",
        "declared": False,
        "owner": "",
        "reason": "",
        "description": "",
        "update_time": None,
    }
    if status is not None:
        known |= {
            "state": word(deployment_pb2.PartitionState.DESCRIPTOR, status.state),
            "environment": status.environment.name,
            "environment_version": status.environment.version or None,
            "environment_owner": status.environment.owner,
            "image_digest": status.environment.image_digest,
            "deployment_id": status.deployment_id,
            "declared": status.declared,
            "owner": status.owner,
            "reason": word(deployment_pb2.FailureReason.DESCRIPTOR, status.reason),
            "description": status.description,
            "update_time": timestamp(status.update_time) if status.HasField("update_time") else None,
        }
    return known


def _row(item: dict[str, Any], holder: str) -> tuple[str, ...]:
    version = item["environment_version"]
    return (
        item["node"],
        item["name"],
        output.size(item["size_bytes"]),
        item["role"],
        item["state"] or "-",
        f"{item['environment']} {version}" if version else item["environment"],
        item["deployment_id"] or ("declared" if item["declared"] else "-"),
        item["owner"] or "-",
        item["update_time"] or "-",
        holder,
        item["description"],
    )
