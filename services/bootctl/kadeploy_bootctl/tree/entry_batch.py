"""One batch of entries: contents under temporary names, then in their places; files of others are set aside."""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.render.site import MARK
from kadeploy_bootctl.tree import notes
from kadeploy_bootctl.tree.directory import PRIVATE_FILE, PUBLIC_FILE, Directory

logger = logging.getLogger(__name__)

SET_ASIDE_SUFFIX = ".replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedEntry:
    """An entry whose contents stand under temporary names: the note, and the file in the first repository."""

    written: WrittenEntry
    note: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryBatch:
    """The open directories of one batch. They are opened anew for each, so a directory that was replaced is noticed."""

    state: Directory
    entry_notes: Directory
    configurations: tuple[Directory, ...]

    def prepare(self, written: WrittenEntry, leftovers: contextlib.ExitStack) -> PreparedEntry:
        """Writes the contents under temporary names, which are gone when `leftovers` ends."""
        note = self.entry_notes.write(notes.entry_note(written), mode=PRIVATE_FILE)
        leftovers.callback(self.entry_notes.remove, note)
        first = self.configurations[0]
        file = first.write(written.text.encode(), mode=PUBLIC_FILE)
        leftovers.callback(first.remove, file)
        return PreparedEntry(written=written, note=note, file=file)

    def make_durable(self, prepared: Sequence[PreparedEntry]) -> None:
        """Returns when all contents are on the disk."""
        self.entry_notes.make_durable(item.note for item in prepared)
        self.configurations[0].make_durable(item.file for item in prepared)

    def place(self, item: PreparedEntry, names: Sequence[str]) -> None:
        """Gives the file its names in every repository: links, or copies where the file system is another one."""
        first = self.configurations[0]
        for directory in self.configurations:
            for name in names:
                if directory.place_link(first, item.file, name):
                    continue
                copy = directory.write(item.written.text.encode(), mode=PUBLIC_FILE)
                directory.make_durable([copy])
                directory.rename(copy, name)


def is_ours(directory: Directory, name: str) -> bool:
    """Tells whether we wrote the file, by its first line."""
    mark = MARK.encode()
    return directory.read(name, limit=len(mark)) == mark


def set_foreign_aside(directory: Directory, name: str) -> None:
    """Keeps a file that somebody else wrote under the name, where no machine asks for it."""
    if directory.status(name) is not None and not is_ours(directory, name):
        logger.warning("path=%s/%s set aside as %s%s", directory.path, name, name, SET_ASIDE_SUFFIX)
        directory.rename(name, name + SET_ASIDE_SUFFIX)
