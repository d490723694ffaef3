"""The databases of Kadeploy 2: nodes, disks, partitions, what is installed on them, environments and rights."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from kadeploy.inventory.v1 import environment_pb2, node_pb2
from kadeploy_cli.descriptions import disk_layout, environment_file, nodes_file
from kadeploy_cli.descriptions.settings_file import Setting
from kadeploy_cli.environments import image_files
from kadeploy_cli.imports.plan import GrantedRight, ImportPlan, InstalledSystem
from kadeploy_cli.imports.sql_dump import Row, read_tables

TABLES = ("node", "disk", "partition", "deployed", "environment", "rights", "deployment")
UNDEFINED = "undefined"
RESERVED = (UNDEFINED, "swap", "tmp", "empty")
PREFIX = "file:/"
"""Stands before the absolute paths of files."""
TAKEN = {
    "name": "name",
    "version": "version",
    "description": "description",
    "author": "author",
    "size": "size",
    "kernelpath": "kernelpath",
    "initrdpath": "initrdpath",
    "kernelparam": "kernelparam",
    "filesystem": "filesystem",
    "optsupport": "optsupport",
}
Layout = tuple[str, str, tuple[tuple[int, str, str], ...]]


def add(found: ImportPlan, dumps: Sequence[Path], *, clusters: Mapping[str, str], deploy_user: str) -> None:
    """Adds what dumps of the databases have. `clusters`: by node; `deploy_user`: whose environments all may use."""
    tables = read_tables(dumps, TABLES)
    rows = tables.get("environment", ())
    names = {_text(row, "id"): _text(row, "name") for row in rows}
    _add_environments(found, tables.get("environment", ()), deploy_user)
    _add_nodes(found, tables, names, clusters)
    _add_installed(found, tables)
    for row in tables.get("rights", ()):
        user, node, partition = (_text(row, column) for column in ("user", "node", "part"))
        found.rights.append(GrantedRight(user, node, partition.removeprefix("/dev/") or "*"))
    if count := len(tables.get("deployment", ())):
        found.notice("deployment", f"the history of {count} deployments is left out: statistics begin anew")


def _add_environments(found: ImportPlan, rows: Sequence[Row], deploy_user: str) -> None:
    for row in rows:
        name, version, owner = (_text(row, column) for column in ("name", "version", "user"))
        if name in RESERVED:
            continue
        where = f"environment {name} version {version} of {owner}"
        settings = {key: _setting(_text(row, column)) for key, column in TAKEN.items() if _text(row, column)}
        for key in ("filebase", "filesite"):
            if path := _text(row, key):
                settings[key] = _setting(_path(path))
        if kind := _whole(_text(row, "fdisktype")):
            settings["fdisktype"] = _setting(f"{kind:x}")
        settings["visibility"] = _setting("public" if owner == deploy_user else "private")
        environment = found.attempt(where, lambda settings=settings, owner=owner: _environment(settings, owner))  # type: ignore[misc]
        if environment is not None:
            found.environments.append(environment)


def _environment(settings: Mapping[str, Setting], owner: str) -> environment_pb2.Environment:
    return environment_file.build(
        settings,
        owner=owner,
        directory=Path("/"),
        read_image=image_files.image,
        read_archive=image_files.script_archive,
    )


def _add_nodes(
    found: ImportPlan, tables: Mapping[str, Sequence[Row]], names: Mapping[str, str], clusters: Mapping[str, str]
) -> None:
    layouts = _layouts(found, tables, names)
    disks: dict[Layout, node_pb2.Disk | None] = {}
    for row in tables.get("node", ()):
        name = _text(row, "name").lower()
        node = node_pb2.Node(
            name=name,
            mac_address=_text(row, "macaddr").lower(),
            ip_address=_text(row, "ipaddr"),
            cluster=clusters.get(name, "default"),
            firmware=node_pb2.FIRMWARE_BIOS,
        )
        layout = layouts.get(_text(row, "id"))
        if layout is None:
            found.notice(name, "nothing is said of its disk: `ka node update --disks FILE` says it")
        else:
            if layout not in disks:
                disks[layout] = found.attempt(f"{name}: disk {layout[0]}", lambda layout=layout: _disk(layout))  # type: ignore[misc]
            if (disk := disks[layout]) is not None:
                node.disks.append(disk)
        found.nodes[name] = node
    for cluster in sorted({node.cluster for node in found.nodes.values()} - {"default"}):
        found.cluster(cluster)


def _layouts(found: ImportPlan, tables: Mapping[str, Sequence[Row]], names: Mapping[str, str]) -> dict[str, Layout]:
    """Returns the disk of each node: version 2 says only by what is installed which partitions it has."""
    disks = {_text(row, "id"): row for row in tables.get("disk", ())}
    partitions = {_text(row, "id"): row for row in tables.get("partition", ())}
    layouts: dict[str, Layout] = {}
    for node, on_disks in _installed(tables.get("deployed", ()), names).items():
        for disk, installed in sorted(on_disks.items()):
            if disk not in disks:
                found.notice(f"deployed: node {node}", f"names the disk {disk}, which is not in the table")
                continue
            device = _text(disks[disk], "device")
            if node in layouts:
                found.notice(f"node {node}", f"has another disk, {device}: `ka node update --disks FILE` says it")
                continue
            rows = _partition_rows(found, node, installed, partitions)
            layouts[node] = (device, _text(disks[disk], "size"), rows)
    return layouts


def _installed(rows: Sequence[Row], names: Mapping[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    """Returns what was installed last, by node, disk and partition: the row of the highest deployment."""
    latest: dict[tuple[str, str, str], int] = {}
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        node, disk, partition = (_text(row, column) for column in ("nodeid", "diskid", "partid"))
        number = _whole(_text(row, "deployid"))
        if latest.get((node, disk, partition), -1) <= number:
            latest[node, disk, partition] = number
            is_good = _text(row, "state") == "deployed"
            found[node][disk][partition] = names.get(_text(row, "envid"), UNDEFINED) if is_good else UNDEFINED
    return found


def _partition_rows(
    found: ImportPlan, node: str, installed: Mapping[str, str], partitions: Mapping[str, Row]
) -> tuple[tuple[int, str, str], ...]:
    """Returns number, size and environment of each partition."""
    rows = []
    for partition, environment in installed.items():
        number = _text(partitions.get(partition, {}), "pnumber")
        if number.isascii() and number.isdigit():
            rows.append((int(number), _text(partitions[partition], "size"), environment))
        else:
            found.notice(f"deployed: node {node}", f"names the partition {partition}, which has no number")
    return tuple(sorted(rows))


def _add_installed(found: ImportPlan, tables: Mapping[str, Sequence[Row]]) -> None:
    """Notes what was installed last on each partition, by version 2 or by somebody else (its deployment 0)."""
    by_id = {
        kind: {_text(row, "id"): row for row in tables.get(kind, ())}
        for kind in ("node", "disk", "partition", "environment")
    }
    latest: dict[tuple[str, ...], Row] = {}
    for row in tables.get("deployed", ()):
        key = tuple(_text(row, column) for column in ("nodeid", "diskid", "partid"))
        if key not in latest or _whole(_text(latest[key], "deployid")) <= _whole(_text(row, "deployid")):
            latest[key] = row
    left = 0
    for (node, disk, partition), row in latest.items():
        environment = by_id["environment"].get(_text(row, "envid"), {})
        name, number = _text(environment, "name"), _text(by_id["partition"].get(partition, {}), "pnumber")
        if name in RESERVED:
            # Swap, or nothing: there is no system that could be booted.
            continue
        if _text(row, "state") != "deployed" or not name or not _whole(number):
            left += 1
            continue
        found.installed.append(
            InstalledSystem(
                environment=name,
                version=_whole(_text(environment, "version")),
                owner=_text(environment, "user"),
                device=_text(by_id["disk"].get(disk, {}), "device").removeprefix("/dev/"),
                partition=_whole(number),
                node=_text(by_id["node"].get(node, {}), "name").lower(),
            )
        )
    if left:
        found.notice("deployed", f"{left} partitions are left out: they hold no recorded environment that is whole")


def _disk(layout: Layout) -> node_pb2.Disk:
    """Returns a disk as the classic description says it, with the same checks."""
    device, size, partitions = layout
    text = ["placeholder 02:00:00:00:00:01 10.0.0.1", nodes_file.SEPARATOR, f"{device.removeprefix('/dev/')} {size}"]
    text += [f"{number} {megabytes} {environment}" for number, megabytes, environment in partitions]
    description = nodes_file.parse("\n".join(text), "the database")
    return disk_layout.disk(description, "the database", gpt=False)[0]


def _path(stored: str) -> str:
    """Returns the absolute path that the database stores after a prefix; addresses stay as they are."""
    if not stored.startswith(PREFIX):
        return stored
    return f"/{stored.removeprefix(PREFIX).lstrip('/')}"


def _setting(value: str) -> Setting:
    return Setting(value=value, source="the database", line=0)


def _text(row: Row, column: str) -> str:
    return (row.get(column) or "").strip()


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
