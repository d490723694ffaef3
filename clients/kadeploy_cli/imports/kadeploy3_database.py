"""The database of Kadeploy 3: environments, rights, and what runs on the nodes. The log is left behind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions import environment_yaml
from kadeploy_cli.descriptions.environment_yaml import Files
from kadeploy_cli.environments import image_files
from kadeploy_cli.imports.plan import GrantedRight, ImportPlan, InstalledSystem
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
INSTALLED = ("deployed", "recorded_env")
"""States of a node that runs what was deployed on it."""
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
    _add_installed(found, tables.get("nodes", ()), tables.get("environments", ()))


def _add_installed(found: ImportPlan, nodes: Sequence[Row], environments: Sequence[Row]) -> None:
    """Notes what was deployed last on each node, where version 3 says it: it knows one environment a node."""
    by_id = {row.get("id"): row for row in environments}
    for row in nodes:
        name, state = (row.get("hostname") or "").lower(), row.get("state") or ""
        environment = by_id.get(row.get("env_id"))
        if environment is None or state not in INSTALLED:
            found.notice(
                f"node {name}", f"its state {state!r} is left out: it names no recorded environment that is whole"
            )
            continue
        found.installed.append(
            InstalledSystem(
                environment=environment.get("name") or "",
                version=_number(environment.get("version") or "1", 10),
                owner=environment.get("user") or "",
                device="",
                partition=0,
                node=name,
            )
        )
    if found.installed:
        found.notice(
            "nodes", "does not say on which partition a system is: it is taken to be the cluster's default one"
        )


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
