"""The database of Kadeploy 3: environments and rights. What runs on the nodes, and the log, are left behind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions import environment_yaml
from kadeploy_cli.descriptions.environment_yaml import Files
from kadeploy_cli.environments import image_files
from kadeploy_cli.imports.plan import GrantedRight, ImportPlan
from kadeploy_cli.imports.sql_dump import Row, read_tables
from kadeploy_cli.terminal.failures import UsageFailure

TABLES = ("environments", "rights", "nodes")
KINDS = {
    "tgz": ("tar", "gzip"),
    "tbz2": ("tar", "bzip2"),
    "txz": ("tar", "xz"),
    "tzst": ("tar", "zstd"),
    "ddgz": ("dd", "gzip"),
    "ddbz2": ("dd", "bzip2"),
    "ddxz": ("dd", "xz"),
    "ddzst": ("dd", "zstd"),
}
COMPRESSIONS = {"tgz": "gzip", "tbz2": "bzip2", "txz": "xz", "tzst": "zstd"}
PARTS_OF_IMAGE, PARTS_OF_ARCHIVE = 2, 4


def add(found: ImportPlan, dumps: Sequence[Path]) -> None:
    """Adds what dumps of the database have."""
    tables = read_tables(dumps, TABLES)
    for row in tables.get("environments", ()):
        where = f"environment {row.get('name')} version {row.get('version')} of {row.get('user')}"
        environment = found.attempt(where, lambda row=row, where=where: _environment(found, row, where))  # type: ignore[misc]
        if environment is not None:
            found.environments.append(environment)
    for row in tables.get("rights", ()):
        user, node, partition = (row.get(column) or "" for column in ("user", "node", "part"))
        found.rights.append(GrantedRight(user, node, partition.removeprefix("/dev/") or "*"))
    if count := len(tables.get("nodes", ())):
        found.notice("nodes", f"the states of {count} nodes are left out: what runs there is not ours")


def _environment(found: ImportPlan, row: Row, where: str) -> environment_pb2.Environment:
    """Returns an environment of the database by way of the description that kaenv3 -p would have printed."""
    text = yaml.safe_dump(_description(row), sort_keys=False, allow_unicode=True)
    files = Files(
        directory=Path("/"),
        read_image=image_files.image,
        read_archive=image_files.script_archive,
        note=lambda sentence: found.notice(where, sentence),
    )
    environment = environment_yaml.parse(text, where, {}, files)
    environment.owner = row.get("user") or ""
    return environment


def _description(row: Row) -> dict[str, Any]:
    def value(column: str) -> str:
        return (row.get(column) or "").strip()

    boot = {
        key: value(column)
        for key, column in (
            ("kernel", "kernel"),
            ("initrd", "initrd"),
            ("kernel_params", "kernel_params"),
            ("hypervisor", "hypervisor"),
            ("hypervisor_params", "hypervisor_params"),
        )
        if value(column)
    }
    described: dict[str, Any] = {
        "name": value("name"),
        "version": _number(value("version") or "1", 10),
        **{key: value(key) for key in ("description", "author", "filesystem") if value(key)},
        "visibility": value("visibility") or "private",
        "os": value("environment_kind") or "linux",
        "image": _image(value("tarball")),
    }
    if _is_true(value("demolishing_env")):
        described["destructive"] = True
    if value("preinstall"):
        described["preinstall"] = _archive(value("preinstall"))
    if value("postinstall"):
        described["postinstalls"] = [_archive(each) for each in value("postinstall").split(",") if each]
    if boot:
        described["boot"] = boot
    if value("fdisk_type"):
        described["partition_type"] = _number(value("fdisk_type"), 16)
    if _is_true(value("multipart")):
        described["multipart"] = True
        described["options"] = _options(value("options"))
    return described


def _is_true(text: str) -> bool:
    return text.lower() in ("1", "true", "t")


def _options(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageFailure("its options are not YAML") from None


def _image(text: str) -> dict[str, str]:
    file, kind = _parts(text, PARTS_OF_IMAGE)[:2]
    if kind not in KINDS:
        raise UsageFailure(f"its image is of the kind {kind!r}; known are {', '.join(KINDS)}")
    return {"file": file, "kind": KINDS[kind][0], "compression": KINDS[kind][1]}


def _archive(text: str) -> dict[str, str]:
    file, kind, _, script = _parts(text, PARTS_OF_ARCHIVE)[:PARTS_OF_ARCHIVE]
    if kind not in COMPRESSIONS:
        raise UsageFailure(f"{file} is of the kind {kind!r}; known are {', '.join(COMPRESSIONS)}")
    return {"archive": file, "compression": COMPRESSIONS[kind], "script": script}


def _parts(text: str, least: int) -> list[str]:
    parts = text.split("|")
    if len(parts) < least:
        raise UsageFailure(f"{text!r} has fewer than {least} parts")
    return parts


def _number(text: str, base: int) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise UsageFailure(f"{text!r} is no number") from None
