"""The audit log: a JSON line for every refused and every changing call: who, what, on which nodes, when, how it ended.

The line is made from the request's descriptor: the fields of `SUBJECTS` are told, everything else (scripts, keys,
commands, file contents) is not. Texts and lists are cut, so that no request can fill the disk with one line.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
from itertools import islice
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from ClusterShell.NodeSet import NodeSet
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from kadeploy_rpckit.errors import Invalid

logger = logging.getLogger(__name__)

NODES = frozenset({"node", "nodes"})
SUBJECTS = frozenset(
    {
        "id", "name", "version", "owner", "user", "users", "cluster", "device", "partition", "partitions",
        "environment", "environment_name", "environment_version", "environment_owner", "label",
        "digest", "power", "level",
    }
)  # fmt: skip
LONGEST_NODES = 4096
LONGEST_TEXT = 200
MOST_SUBJECTS = 20
MOST_ELEMENTS = 100_000
DEEPEST = 5

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
            path: the file, appended to, opened again when it was rotated; None for the service's own log, as the
                logger "audit".

        Raises:
            UnusableAuditLog: the file cannot be opened.
        """
        self._service = service
        self._logger = logging.getLogger("audit")
        # However little else is logged.
        self._logger.setLevel(logging.INFO)
        if path is not None:
            self._logger = logging.Logger("audit")  # noqa: LOG001 - one per service, in no tree: it must not propagate
            self._logger.addHandler(_open(path))

    def write(self, record: Mapping[str, object]) -> None:
        """Writes one record."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "service": self._service, **record}
        self._logger.info("%s", json.dumps(line, ensure_ascii=True))

    def close(self) -> None:
        """Closes the file, if there is one."""
        if self._logger is not logging.getLogger("audit"):
            for handler in self._logger.handlers:
                handler.close()


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


class _File(WatchedFileHandler):
    """Appends lines to a file that only owner and group can read; a line that cannot be written goes to the log."""

    def _open(self) -> TextIOWrapper:
        number = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        return os.fdopen(number, "a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Says that a record is lost to the file, and keeps it in the log."""
        logger.error("the audit log %s cannot be written (%s): %s", self.baseFilename, sys.exc_info()[1], record.args)


def _open(path: Path) -> logging.Handler:
    try:
        return _File(path)
    except OSError as error:
        raise UnusableAuditLog(
            f"the audit log {path} cannot be written: {error.strerror}", metadata={"path": str(path)}
        ) from error
