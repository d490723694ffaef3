"""The audit log: a JSON line for every refused and every changing call: who, what, on which nodes, when, how it ended.

The line is made from the request's descriptor: the fields of `SUBJECTS` are told, everything else (scripts, keys,
commands, file contents) is not. Texts and lists are cut, so that no request can fill the disk with one line.
"""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from ClusterShell.NodeSet import NodeSet
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from kadeploy_edge.errors import Invalid

_log = logging.getLogger("audit")

NODES = frozenset({"node", "nodes"})
SUBJECTS = frozenset(
    {
        "id", "name", "version", "owner", "user", "users", "cluster", "device", "partition", "partitions",
        "environment", "environment_name", "environment_version", "environment_owner", "label",
        "digest", "power", "level", "validate_only",
    }
)  # fmt: skip
LONGEST_NODES = 4096
LONGEST_TEXT = 200
MOST_SUBJECTS = 20
MOST_ELEMENTS = 100_000
DEEPEST = 5
OWNER_AND_GROUP = 0o640

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_TEXT, _MESSAGE, _BYTES = FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_BYTES


class UnusableAuditLog(Invalid):
    """The audit log cannot be written."""

    reason = "UNUSABLE_AUDIT_LOG"


class AuditLog:
    """Where the records of one service go."""

    def __init__(self, service: str, path: Path | None) -> None:
        """Opens the log.

        Args:
            service: the service's name.
            path: the file, appended to and opened for each record, so that it may be rotated at any time; None for the
                service's own log, as the logger "audit".

        Raises:
            UnusableAuditLog: the file cannot be written.
        """
        self._service = service
        self._path = path
        # However little else is logged.
        _log.setLevel(logging.INFO)
        if path is not None:
            try:
                _append(path, "")
            except OSError as error:
                raise UnusableAuditLog(
                    f"the audit log {path} cannot be written: {error.strerror}", metadata={"path": str(path)}
                ) from error

    def write(self, record: Mapping[str, object]) -> None:
        """Writes one record; where the file cannot take it, it goes to the service's own log."""
        stamped = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "service": self._service, **record}
        line = json.dumps(stamped, ensure_ascii=True)
        if self._path is not None:
            try:
                _append(self._path, f"{line}\n")
            except OSError as error:
                _log.error("the audit log %s cannot be written: %s", self._path, error.strerror)
            else:
                return
        _log.info("%s", line)


def nodes_of(request: Message | None) -> str:
    """Returns the nodes that a request names, as a node set where the names allow it; at most LONGEST_NODES long."""
    if request is None:
        return ""
    found = list(dict.fromkeys(_nodes(request, 0)))
    names = [name for name in found if _PLAIN_NAME.fullmatch(name)]
    rest = [name for name in found if not _PLAIN_NAME.fullmatch(name)]
    folded = [str(NodeSet.fromlist(names))] if len(names) > 1 else names
    return _cut(",".join([*folded, *rest]), LONGEST_NODES)


def subjects_of(request: Message | None) -> dict[str, object]:
    """Returns what else a request is about: the fields of SUBJECTS, by path."""
    if request is None:
        return {}
    told: dict[str, object] = {}
    for path, value in _subjects(request, "", 0):
        if len(told) == MOST_SUBJECTS:
            break
        told[path] = value
    return told


def _nodes(message: Message, depth: int) -> Iterator[str]:
    for field, value in message.ListFields():
        if _is_map(field):
            continue
        values = islice(value, MOST_ELEMENTS) if field.is_repeated else [value]
        if field.type == _TEXT and field.name in NODES:
            yield from values
        elif field.type == _MESSAGE and depth < DEEPEST:
            for each in values:
                # A message Node or BootNode has a name; what else stands in it are no nodes.
                name = getattr(each, "name", "") if field.name in NODES else ""
                yield from [name] if name and isinstance(name, str) else _nodes(each, depth + 1)


def _subjects(message: Message, prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    for field, value in message.ListFields():
        if field.name in NODES or _is_map(field) or field.type == _BYTES:
            continue
        if field.type == _MESSAGE:
            if not field.is_repeated and depth < DEEPEST:
                yield from _subjects(value, f"{prefix}{field.name}.", depth + 1)
        elif field.name in SUBJECTS:
            told = ",".join(map(str, value[:MOST_SUBJECTS])) if field.is_repeated else value
            yield f"{prefix}{field.name}", _cut(told, LONGEST_TEXT) if isinstance(told, str) else told


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def _append(path: Path, text: str) -> None:
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, OWNER_AND_GROUP)
    with os.fdopen(number, "ab", buffering=0) as file:
        # One write: lines of several processes never mix.
        file.write(text.encode("ascii"))
