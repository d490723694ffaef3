"""The audit log: a JSON line for every refused, changing or audited call: who, what, on which nodes, when, the end.

The line is made from the request's descriptor: the fields of `SUBJECTS` are written, everything else (scripts, keys,
commands, file contents) is not. Of the answer the fields of `RESULTS` are written, such as the id of what was made.
Texts and lists are cut, so that no request can fill the disk with one line.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from kadeploy_edge.errors import Invalid
from kadeploy_edge.line_file import append
from kadeploy_nodeset import fold

_log = logging.getLogger("audit")

NODES = frozenset({"node", "nodes"})
SUBJECTS = frozenset(
    {
        "id", "name", "version", "owner", "user", "users", "cluster", "device", "partition", "partitions",
        "environment", "environment_name", "environment_version", "environment_owner", "label",
        "digest", "power", "level", "validate_only",
    }
)  # fmt: skip
RESULTS = frozenset({"id", "uid", "user", "known_by", "serial"})
LONGEST_NODES = 4096
LONGEST_TEXT = 200
MOST_SUBJECTS = 20
# A whole description of a site; of a refused call, enough to see what was tried.
MOST_NAMES = 10_000
MOST_NAMES_REFUSED = 100
MESSAGES_PER_NAME = 10
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
                append(path, "")
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
                append(self._path, f"{line}\n")
            except OSError as error:
                _log.error("the audit log %s cannot be written: %s", self._path, error.strerror)
            else:
                return
        _log.info("%s", line)


def nodes_of(request: Message | None, *, most: int = MOST_NAMES) -> str:
    """Returns the nodes that a request names, as a node set where the names allow it; at most LONGEST_NODES long.

    Args:
        request: the request; None where it was never read.
        most: how many names are looked at. Where there are more, the text ends with "…".
    """
    if request is None:
        return ""
    found = list(islice(_nodes(request, 0, iter(range(most * MESSAGES_PER_NAME))), most + 1))
    more, found = len(found) > most, list(dict.fromkeys(found[:most]))
    folded = fold(filter(_PLAIN_NAME.fullmatch, found))
    rest = (name for name in found if not _PLAIN_NAME.fullmatch(name))
    return _joined(filter(None, chain([folded], rest, ["…"] if more else [])))


def _joined(texts: Iterable[str]) -> str:
    joined = ""
    for text in texts:
        joined += ("," if joined else "") + text[: LONGEST_NODES + 1]
        if len(joined) > LONGEST_NODES:
            break
    return _cut(joined, LONGEST_NODES)


def subjects_of(request: Message | None) -> dict[str, object]:
    """Returns what else a request is about: the fields of SUBJECTS, by path."""
    if request is None:
        return {}
    subjects: dict[str, object] = {}
    for path, value in _subjects(request, "", 0):
        if len(subjects) == MOST_SUBJECTS:
            break
        subjects[path] = value
    return subjects


def results_of(response: Message | None) -> dict[str, object]:
    """Returns what a call has made: the fields of RESULTS, of the answer itself and of the messages in it."""
    if response is None:
        return {}
    found: dict[str, object] = {}
    for field, value in response.ListFields():
        if field.is_repeated:
            continue
        if field.type == _MESSAGE:
            found |= {
                f"{field.name}.{inner.name}": _cut(str(part), LONGEST_TEXT)
                for inner, part in value.ListFields()
                if inner.name in RESULTS and not inner.is_repeated
            }
        elif field.name in RESULTS:
            found[field.name] = _cut(str(value), LONGEST_TEXT)
    return found


def _nodes(message: Message, depth: int, visits: Iterator[int]) -> Iterator[str]:
    """Gives the names of nodes in a message, until no visits are left."""
    for field, value in message.ListFields():
        if field.type == _TEXT and field.name in NODES:
            yield from value if field.is_repeated else [value]
        elif field.type == _MESSAGE and depth < DEEPEST and _may_name_nodes(field, depth):
            for each in value if field.is_repeated else [value]:
                if next(visits, None) is None:
                    return
                # A message Node or BootNode has a name; what else stands in it are no nodes.
                name = getattr(each, "name", "") if field.name in NODES else ""
                yield from [name] if name and isinstance(name, str) else _nodes(each, depth + 1, visits)


@cache
def _may_name_nodes(field: FieldDescriptor, depth: int) -> bool:
    """Returns whether nodes can stand in a message field, so that nothing else is visited."""
    message = field.message_type
    if message is None or message.GetOptions().map_entry:
        return False
    return field.name in NODES or any(
        each.name in NODES or (each.type == _MESSAGE and depth < DEEPEST and _may_name_nodes(each, depth + 1))
        for each in message.fields
    )


def _subjects(message: Message, prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    for field, value in message.ListFields():
        if field.name in NODES or _is_map(field) or field.type == _BYTES:
            continue
        if field.type == _MESSAGE:
            if not field.is_repeated and depth < DEEPEST:
                yield from _subjects(value, f"{prefix}{field.name}.", depth + 1)
        elif field.name in SUBJECTS:
            several = (_cut(str(each), LONGEST_TEXT) for each in value[:MOST_SUBJECTS]) if field.is_repeated else ()
            shown = ",".join(several) if field.is_repeated else value
            yield f"{prefix}{field.name}", _cut(shown, LONGEST_TEXT) if isinstance(shown, str) else shown


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
