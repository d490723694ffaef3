"""Nodes: registering them from a description, looking at them, changing and removing them."""

import copy
from collections import ChainMap
from collections.abc import Mapping, Sequence
from pathlib import Path

from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import status_pb2

from kadeploy.inventory.v1 import inventory_service_pb2, node_pb2
from kadeploy_cli.connection.connect import remote_failure
from kadeploy_cli.connection.session import Session
from kadeploy_cli.descriptions import cluster_files, disk_layout, nodes_file, nodes_yaml
from kadeploy_cli.descriptions.described_nodes import DescribedNodes, Position
from kadeploy_cli.descriptions.nodes_file import NodeLine
from kadeploy_cli.descriptions.text import decode, looks_like_yaml
from kadeploy_cli.nodes import holders
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal import advice, output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure, UsageFailure
from kadeploy_cli.terminal.plain import plain, word
from kadeploy_edge.status import from_status
from kadeploy_nodeset import NodeSet, fold

COLUMNS = ("NODE", "MAC ADDRESS", "IP ADDRESS", "CLUSTER", "FIRMWARE", "DISKS")
LEAST = ("UUID", "FIRMWARE", "CLUSTER")
"""Columns that are left out first where there is no room."""
UUID = "UUID"


NODES_FILE = "clusternodes"
PARTITIONS_FILE = "clusterpartition"


def described(
    file: str,
    *,
    cluster: str = "",
    firmware: "node_pb2.Firmware.ValueType | None" = None,
    gpt: bool = False,
) -> DescribedNodes:
    """Returns the nodes that a description file, classic or YAML, tells of."""
    source = "stdin" if file == "-" else file
    text = decode(node_names.read_file(file), source)
    if looks_like_yaml(text, source):
        if gpt or firmware is not None:
            raise UsageFailure(
                f"{source} is YAML, which says firmware and partition table itself",
                advice='Write "firmware: uefi" and, at the disk, "table: gpt" instead of --firmware and --gpt.',
            )
        return nodes_yaml.parse(text, source, cluster=cluster)
    description = nodes_file.parse(text, source, gpt=gpt)
    disk, notices = disk_layout.disk(description, source, gpt=gpt)
    standing = {partition.number: partition.line for partition in description.partitions}
    shared = {"disks": Position(source=source, line=description.disk_line)}
    for index, partition in enumerate(disk.partitions):
        line = standing.get(partition.number) or description.disk_line
        shared[f"disks[0].partitions[{index}]"] = Position(source=source, line=line)
    nodes = _nodes_of(description.nodes, disk, cluster, firmware or node_pb2.FIRMWARE_BIOS)
    return DescribedNodes(nodes=nodes, positions=_positions(description.nodes, source, shared), notices=notices)


def described_by_cluster_files(directory: Path, cluster: str) -> DescribedNodes:
    """Returns the nodes that clusternodes.conf and clusterpartition.conf of a directory tell of."""
    suffix = f"-{cluster}.conf" if cluster else ".conf"
    texts = []
    for name in (NODES_FILE, PARTITIONS_FILE):
        file = str(directory / f"{name}{suffix}")
        texts.append((decode(node_names.read_file(file), file), file))
    (nodes_text, nodes_source), (disk_text, disk_source) = texts
    lines = cluster_files.parse_nodes(nodes_text, nodes_source)
    declared = cluster_files.parse_disk(disk_text, disk_source)
    shared = {
        "disks": Position(source=disk_source, line=declared.line),
        **{
            f"disks[0].partitions[{index}]": Position(source=disk_source, line=line)
            for index, line in enumerate(declared.partition_lines)
        },
    }
    nodes = _nodes_of(lines, declared.disk, cluster, node_pb2.FIRMWARE_BIOS)
    return DescribedNodes(nodes=nodes, positions=_positions(lines, nodes_source, shared))


def _positions(
    lines: Sequence[NodeLine], source: str, shared: Mapping[str, Position]
) -> Sequence[Mapping[str, Position]]:
    return [ChainMap({"": Position(source=source, line=line.line)}, dict(shared)) for line in lines]


def _nodes_of(
    lines: Sequence[NodeLine], disk: node_pb2.Disk, cluster: str, firmware: "node_pb2.Firmware.ValueType"
) -> list[node_pb2.Node]:
    return [
        node_pb2.Node(
            name=line.name,
            mac_address=line.mac_address,
            ip_address=line.ip_address,
            cluster=cluster,
            firmware=firmware,
            disks=[disk],
        )
        for line in lines
    ]


def register(
    session: Session,
    described: DescribedNodes,
    *,
    dry_run: bool = False,
) -> ExitCode:
    """Registers every one of the nodes, or none."""
    nodes = described.nodes
    request = inventory_service_pb2.RegisterNodesRequest(nodes=nodes, validate_only=dry_run)
    answer = session.inventory.call(
        session.inventory.nodes.RegisterNodes,
        request,
        deadline=_patience(session, len(nodes)),
        refusal=lambda error: described.refusal(error.violations),
    )
    for notice in (*described.notices, *answer.notices):
        output.say(f"notice: {notice}")
    created, unchanged = len(answer.created), len(nodes) - len(answer.created)
    summary = f"{created} {_nodes(created)} {'would be ' if dry_run else ''}registered"
    if created:
        summary += f": {fold(answer.created)}"
    if unchanged:
        summary += f"; {unchanged} {'stand' if unchanged > 1 else 'stands'} there already"
    output.say(summary)
    return ExitCode.OK


def fetch(session: Session, nodes: str, cluster: str = "") -> list[node_pb2.Node]:
    """Returns the nodes of a set, all for the empty one."""
    request = inventory_service_pb2.ListNodesRequest(
        filter=inventory_service_pb2.NodeFilter(nodes=nodes, cluster=cluster)
    )
    inventory = session.inventory
    return list(inventory.pages(inventory.nodes.ListNodes, request, lambda page: page.nodes))


def not_registered(nodes: NodeSet, *, partial: bool = False) -> Failure:
    """Returns the failure of a command on nodes that are not there; partial when others were."""
    return Failure(
        f"{nodes} {'is' if len(nodes) == 1 else 'are'} not registered",
        exit_code=ExitCode.PARTIAL if partial else ExitCode.NOT_FOUND,
        advice=advice.for_reason("NODE_NOT_FOUND"),
    )


def tell_missing(session: Session, found: Sequence[node_pb2.Node], nodes: str, cluster: str) -> None:
    """Raises Failure after a list that lacks nodes which were named, or has none of a cluster that is not there."""
    if not found and cluster:
        request = inventory_service_pb2.GetClusterRequest(name=cluster)
        session.inventory.call(session.inventory.clusters.GetCluster, request)
    missing = (NodeSet.parse(nodes) if nodes else NodeSet()) - [node.name for node in found]
    if missing and cluster:
        # Those of other clusters were left out as was wished.
        missing -= [node.name for node in fetch(session, str(missing))]
    if missing:
        raise not_registered(missing, partial=bool(found))


def show_list(session: Session, nodes: str, cluster: str = "") -> ExitCode:
    """Prints the nodes of a set, all for the empty one, and then says which are not registered."""
    found = fetch(session, nodes, cluster)
    # Few sites know the UUIDs of their machines.
    uuids = any(node.uuid for node in found)
    output.show(
        session.form,
        columns=(*COLUMNS, UUID) if uuids else COLUMNS,
        rows=[(*_row(node), node.uuid) if uuids else _row(node) for node in found],
        data=[plain(node) for node in found],
        names=[node.name for node in found],
        least=LEAST,
    )
    tell_missing(session, found, nodes, cluster)
    return ExitCode.OK


def _row(node: node_pb2.Node) -> tuple[str, ...]:
    disks = ", ".join(
        f"{disk.device} {output.size(disk.size_bytes)} ({len(disk.partitions)} partitions)" for disk in node.disks
    )
    return (
        node.name,
        node.mac_address,
        node.ip_address,
        node.cluster,
        word(node_pb2.Firmware.DESCRIPTOR, node.firmware),
        disks,
    )


def show_one(session: Session, name: str) -> ExitCode:
    """Prints everything that is known of one node."""
    if not name:
        raise UsageFailure("the node's name is empty")
    request = inventory_service_pb2.GetNodeRequest(name=name)
    node = session.inventory.call(session.inventory.nodes.GetNode, request)
    if session.form is not output.Format.TABLE:
        output.show(session.form, columns=(), rows=(), data=plain(node), names=[node.name])
        return ExitCode.OK
    output.show_fields(
        [
            ("name", node.name),
            ("mac address", node.mac_address),
            ("ip address", node.ip_address),
            ("cluster", node.cluster),
            ("firmware", word(node_pb2.Firmware.DESCRIPTOR, node.firmware)),
            ("uuid", node.uuid),
            ("bmc address", node.bmc_address or "as the profile of the cluster says"),
            ("labels", ", ".join(f"{key}={value}" for key, value in sorted(node.labels.items()))),
            *(
                (f"command {field.name}", " ".join(template.arguments))
                for field, template in node.commands.ListFields()
            ),
            ("registered", output.local_time(node.create_time)),
            ("changed", output.local_time(node.update_time)),
            ("held by", _holder(session, node.name)),
        ]
    )
    identified = [disk for disk in node.disks if disk.HasField("identity")]
    if identified:
        output.show_table(("DISK", "IS THE ONE WITH"), [(disk.device, identity_in_words(disk)) for disk in identified])
    rows = [_partition_row(disk, partition) for disk in node.disks for partition in disk.partitions]
    output.show_table(("PARTITION", "SIZE", "TABLE", "TYPE", "ROLE", "ENVIRONMENT"), rows)
    return ExitCode.OK


def _holder(session: Session, name: str) -> str:
    """Returns who holds a node; of a deployer that does not answer, why that is not known."""
    try:
        return holders.sentence(holders.fetch_holders(session, name).get(name))
    except Failure as failure:
        return f"not known: {failure.message}"


def _partition_row(disk: node_pb2.Disk, partition: node_pb2.Partition) -> tuple[str, ...]:
    return (
        partition_name(disk.device, partition.number),
        output.size(partition.size_bytes),
        word(node_pb2.PartitionTable.DESCRIPTOR, disk.partition_table),
        f"{word(node_pb2.PartitionType.DESCRIPTOR, partition.type)} {partition.type_id:#04x}",
        word(node_pb2.PartitionRole.DESCRIPTOR, partition.role),
        partition.environment,
    )


def identity_in_words(disk: node_pb2.Disk) -> str:
    """Returns what tells a disk from the others of its machine: "serial S3Z9, link by-path/pci-0000:17:00.0"."""
    return ", ".join(
        f"{field.name.replace('_', ' ').removesuffix(' bytes')} "
        f"{output.size(value) if field.name == 'size_bytes' else value}"
        for field, value in disk.identity.ListFields()
    )


def partition_name(device: str, number: int) -> str:
    """Returns what the kernel calls a partition: "sda3", "nvme0n1p3"."""
    return f"{device}p{number}" if device[-1:].isdigit() else f"{device}{number}"


def update(session: Session, nodes: NodeSet, changes: node_pb2.Node, paths: Sequence[str]) -> ExitCode:
    """Makes the same changes to every node of a set; labels are added to those that stand there."""
    inventory = session.inventory
    # All are looked for before the first is changed.
    unknown = nodes - [node.name for node in fetch(session, str(nodes))]
    if unknown:
        raise not_registered(unknown)
    for name in nodes:
        changed = copy.deepcopy(changes)
        changed.name = name
        short = name.partition(".")[0]
        changed.bmc_address = changes.bmc_address.replace("{name}", name).replace("{node_short}", short)
        if "labels" in paths:
            request = inventory_service_pb2.GetNodeRequest(name=name)
            present = inventory.call(inventory.nodes.GetNode, request)
            changed.etag = present.etag
            changed.labels.clear()
            merged = {**present.labels, **changes.labels}
            changed.labels.update({key: value for key, value in merged.items() if value})
        wanted = inventory_service_pb2.UpdateNodeRequest(node=changed, update_mask=FieldMask(paths=paths))
        inventory.call(inventory.nodes.UpdateNode, wanted)
    output.say(f"{len(nodes)} {_nodes(len(nodes))} changed: {nodes}")
    return ExitCode.OK


def delete(session: Session, nodes: NodeSet) -> ExitCode:
    """Removes nodes with their disks and partitions; the exit status tells whether all of them were removed."""
    inventory = session.inventory
    request = inventory_service_pb2.DeleteNodesRequest(nodes=str(nodes))
    answer = inventory.call(inventory.nodes.DeleteNodes, request, deadline=_patience(session, len(nodes)))
    failed = [(result.node, result.status) for result in answer.results if result.status.code]
    removed = NodeSet(result.node for result in answer.results if not result.status.code)
    if removed:
        output.say(f"{len(removed)} {_nodes(len(removed))} removed: {removed}")
    if not failed:
        return ExitCode.OK
    raise several_failures(failed, partial=bool(removed))


def several_failures(failed: Sequence[tuple[str, status_pb2.Status]], *, partial: bool) -> Failure:
    """Returns the failure of a call on many nodes, some or all of which it could not do."""
    failures = [(node, remote_failure(from_status(status))) for node, status in failed]
    text = "\n  ".join(f"{node}: {failure.message}" for node, failure in failures)
    reasons = {from_status(status).reason for _, status in failed}
    hint = next((advice.for_reason(reason) for reason in sorted(reasons) if advice.for_reason(reason)), "")
    codes = {failure.exit_code for _, failure in failures}
    code = ExitCode(codes.pop()) if len(codes) == 1 else ExitCode.REFUSED
    return Failure(
        f"{len(failed)} {_nodes(len(failed))} could not be changed:\n  {text}",
        exit_code=ExitCode.PARTIAL if partial else code,
        advice=hint,
    )


def _patience(session: Session, count: int) -> float:
    """Returns a deadline for a call on many nodes."""
    return session.settings.deadlines.call + count / 100


def _nodes(count: int) -> str:
    return "node" if count == 1 else "nodes"
