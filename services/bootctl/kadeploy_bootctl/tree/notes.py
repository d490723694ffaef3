"""Our notes on entries and files, as JSON; the format carries a version."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode, Firmware
from kadeploy_bootctl.domain.boot_target import TARGETS, BootTarget, MultibootModule, MultibootTarget, name_of
from kadeploy_bootctl.domain.errors import InvalidBootEntry

VERSION = 1


class UnreadableNote(ValueError):
    """The note is not one that this version wrote."""


def entry_note(written: WrittenEntry) -> bytes:
    """Returns the note on an entry."""
    entry = written.entry
    return _dump(
        {
            "node": asdict(entry.node),
            "target": {"kind": name_of(entry.target), **asdict(entry.target)},
            "owner": entry.owner,
            "update_time": entry.update_time.isoformat() if entry.update_time else None,
            "text": written.text,
        }
    )


def read_entry_note(content: bytes) -> WrittenEntry:
    """Returns the entry of a note, or raises UnreadableNote."""
    note = _load(content)
    try:
        node = {**note["node"], "firmware": Firmware(note["node"]["firmware"])}
        entry = BootEntry(
            node=BootNode(**node),
            target=_target(dict(note["target"])),
            owner=note["owner"],
            update_time=datetime.fromisoformat(note["update_time"]) if note["update_time"] else None,
        )
        return WrittenEntry(entry=entry, text=str(note["text"]))
    except (KeyError, TypeError, ValueError, InvalidBootEntry) as error:
        raise UnreadableNote(f"{type(error).__name__}: {error}") from error


def file_note(*, size: int, description: str, create_time: datetime) -> bytes:
    """Returns the note on a boot file."""
    return _dump({"size": size, "description": description, "create_time": create_time.isoformat()})


def read_file_note(content: bytes) -> tuple[int, str, datetime]:
    """Returns size, description and time of a note, or raises UnreadableNote."""
    note = _load(content)
    try:
        return int(note["size"]), str(note["description"]), datetime.fromisoformat(note["create_time"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableNote(f"{type(error).__name__}: {error}") from error


def pending_note(nodes: set[str], names: set[str]) -> bytes:
    """Returns the note on a batch that has begun: its nodes and every file name that it may touch."""
    return _dump({"nodes": sorted(nodes), "names": sorted(names)})


def read_pending_note(content: bytes) -> tuple[set[str], set[str]]:
    """Returns nodes and file names of a batch that had begun, or raises UnreadableNote."""
    note = _load(content)
    try:
        return set(map(str, note["nodes"])), set(map(str, note["names"]))
    except (KeyError, TypeError) as error:
        raise UnreadableNote(f"{type(error).__name__}: {error}") from error


def _target(fields: dict[str, Any]) -> BootTarget:
    kind = TARGETS[fields.pop("kind")]
    if kind is MultibootTarget:
        fields["modules"] = tuple(MultibootModule(**module) for module in fields["modules"])
    return kind(**fields)


def _dump(note: dict[str, Any]) -> bytes:
    return (json.dumps({"version": VERSION, **note}) + "\n").encode()


def _load(content: bytes) -> dict[str, Any]:
    try:
        note = json.loads(content)
    except ValueError as error:
        raise UnreadableNote("it is not JSON") from error
    if not isinstance(note, dict) or note.pop("version", None) != VERSION:
        raise UnreadableNote("it is of another version")
    return note
