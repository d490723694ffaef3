"""Writes an environment as the description that its reader takes: YAML, or the same as JSON."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions.environment_file import LINUX_TYPE, MEBIBYTE, VISIBILITIES
from kadeploy_cli.descriptions.environment_words import CHAINLOAD, COMPRESSIONS, KINDS, NO_SCRIPT, SYSTEMS
from kadeploy_cli.descriptions.environment_yaml import WHOLE_DISK


def to_yaml(environment: environment_pb2.Environment) -> str:
    """Returns a description in YAML."""
    said = description(environment)
    text = yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=float("inf"))
    if not _is_printable(text):
        text = yaml.safe_dump(said, sort_keys=False, allow_unicode=False, width=float("inf"))
    return f"---\n{text}"


def to_json(environment: environment_pb2.Environment) -> str:
    """Returns a description in JSON, which is YAML too."""
    said = description(environment)
    text = json.dumps(said, ensure_ascii=False, indent=2)
    return text if _is_printable(text) else json.dumps(said, indent=2)


def _is_printable(text: str) -> bool:
    """Returns whether a text can go to a terminal as it is."""
    return all(letter.isprintable() or letter == "\n" for letter in text)


def description(environment: environment_pb2.Environment) -> Mapping[str, Any]:
    """Returns what a description says, by its keys in their usual order. The owner is whoever records it."""
    image = environment.image
    said: dict[str, Any] = {
        "name": environment.name,
        "alias": environment.alias,
        "arch": environment.architecture,
        "version": environment.version or 1,
        "description": environment.description,
        "author": environment.author,
        "visibility": _word(VISIBILITIES, environment.visibility or environment_pb2.VISIBILITY_PRIVATE),
        "destructive": environment.destructive,
        "os": _word(SYSTEMS, _system(environment)),
        "image": {
            "file": image.uri,
            "kind": _word(KINDS, image.kind),
            "compression": _word(COMPRESSIONS, image.compression),
        },
        "preinstall": _archive(environment.preinstall) if environment.HasField("preinstall") else None,
        "postinstalls": [_archive(archive) for archive in environment.postinstalls],
        "boot": _boot(environment),
        "filesystem": environment.file_system,
        "partition_type": WHOLE_DISK if image.whole_disk else environment.partition_type_id or LINUX_TYPE,
        "custom_variables": dict(sorted(environment.custom_variables.items())),
        "options": _options(environment),
        "cluster": environment.cluster,
        **_size(environment.required_size_bytes),
        "optsupport": environment.options,
    }
    return {key: value for key, value in said.items() if value not in ("", None, [], {})}


def _word(words: Mapping[str, int], number: int) -> str:
    return next((word for word, value in words.items() if value == number), f"unknown({number})")


def _system(environment: environment_pb2.Environment) -> int:
    """Returns the system that goes with how it boots: a hypervisor is what makes it xen."""
    if environment.boot.kind == environment_pb2.BOOT_KIND_MULTIBOOT:
        return environment_pb2.OPERATING_SYSTEM_XEN
    return environment.operating_system or environment_pb2.OPERATING_SYSTEM_LINUX


def _archive(archive: environment_pb2.ScriptArchive) -> Mapping[str, str]:
    script = shlex.join([archive.script or NO_SCRIPT, *archive.script_arguments])
    return {"archive": archive.uri, "compression": _word(COMPRESSIONS, archive.compression), "script": script}


def _boot(environment: environment_pb2.Environment) -> Mapping[str, Any]:
    boot = environment.boot
    if boot.kind == environment_pb2.BOOT_KIND_CHAINLOAD:
        said: dict[str, Any] = {"kernel": CHAINLOAD}
    else:
        said = {
            "kernel": boot.kernel_path,
            "initrd": boot.initrd_path,
            "kernel_params": boot.kernel_arguments,
            "hypervisor": boot.hypervisor_path,
            "hypervisor_params": boot.hypervisor_arguments,
        }
    said["partition"] = boot.partition
    return {key: value for key, value in said.items() if value}


def _options(environment: environment_pb2.Environment) -> Mapping[str, bool]:
    refused = {"kexec": environment.boot.kexec_refused, "trust_previous_env": environment.running_system_refused}
    return {key: False for key, value in refused.items() if value}


def _size(size: int) -> Mapping[str, int]:
    if not size:
        return {}
    return {"size_bytes": size} if size % MEBIBYTE else {"size": size // MEBIBYTE}
