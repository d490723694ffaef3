"""The entries on the disk: the note on each, and its files in every repository.

A batch is written in this order, so that a kill or a power cut at any moment leaves only old or new files and the next
start can finish the work: the journal (nodes and names that may change), all new contents under temporary names, all
contents made durable, then for each entry its note and its files put in place, then the directories made durable,
then the journal removed.

Clearing takes no room, so that it works on a full disk: the note of each entry gets a name that marks it, the files
go, then the marked note. The next start clears what it finds marked.
"""

import contextlib
import fcntl
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.domain.boot_entry import BootNode, file_names
from kadeploy_bootctl.domain.boot_target import files_of
from kadeploy_bootctl.domain.errors import NoSpace
from kadeploy_bootctl.tree import notes
from kadeploy_bootctl.tree.batch_journal import BatchJournal
from kadeploy_bootctl.tree.directory import PRIVATE_FILE, Directory
from kadeploy_bootctl.tree.entry_batch import EntryBatch, PreparedEntry, is_ours, set_foreign_aside
from kadeploy_bootctl.tree.entry_index import Claims, EntryIndex
from kadeploy_bootctl.tree.layout import Layout
from kadeploy_edge.errors import DomainError, Exhausted

logger = logging.getLogger(__name__)

LOCK = "lock"
LARGEST_NOTE = 1 << 20
CLEARED_MARK = "~"
"""Before the name of a note whose entry is being cleared; no node's name begins with it."""


class TreeInUse(Exhausted):
    """Another process writes this tree."""

    reason = "TREE_IN_USE"

    def __init__(self, path: str) -> None:
        super().__init__(f"another kadeploy-bootctl serves {path}; stop it first", metadata={"path": path})


class TftpEntryStore:
    """The entries of a tree. One process per tree, any number of threads."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._index = EntryIndex()
        self._lock = threading.RLock()
        self._process_lock: int | None = None
        self._journal = BatchJournal()
        # Files of entries whose notes are marked as cleared, by node; they go as soon as they can be removed.
        self._marked: dict[str, tuple[str, ...]] = {}

    def open(self) -> None:
        """Takes the tree for this process, reads the notes and finishes what a killed process had begun.

        Raises:
            TreeInUse: another process has it.
            TreeDamaged: the tree is not laid out.
        """
        with self._open(self._layout.state) as state:
            descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE, dir_fd=state.fd)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise TreeInUse(str(self._layout.root)) from None
            self._process_lock = descriptor
        for path in (*self._layout.public_directories, *self._layout.private_directories):
            with self._open(path) as directory:
                directory.remove_temporary_files()
        self._read_notes()
        self._finish_clearing()
        self._finish_pending()

    def close(self) -> None:
        """Gives the tree free."""
        if self._process_lock is not None:
            os.close(self._process_lock)
            self._process_lock = None

    def exclusive(self) -> threading.RLock:
        """As in the port."""
        return self._lock

    def get(self, name: str) -> WrittenEntry | None:
        """As in the port."""
        return self._index.get(name)

    def all(self) -> Sequence[WrittenEntry]:
        """As in the port."""
        return self._index.all()

    def paths(self, node: BootNode) -> tuple[str, ...]:
        """As in the port."""
        return self._layout.entry_paths(node)

    def reference_counts(self) -> Mapping[str, int]:
        """As in the port."""
        return Counter(digest for written in self._index.all() for digest in files_of(written.entry.target))

    def node_of(self, file_name: str) -> str | None:
        """Returns the node that a file name belongs to, or None."""
        return self._index.holder_of(file_name)

    def put(self, wanted: Sequence[WrittenEntry]) -> Sequence[DomainError | None]:
        """As in the port. Writing what is there already touches nothing."""
        with self._lock, self._batch() as batch:
            self._clear_marked(batch)
            self._try_to_finish(batch)
            claims = Claims(self._index)
            outcomes: list[DomainError | None] = []
            changes: list[WrittenEntry] = []
            for written in wanted:
                try:
                    claims.take(written.entry)
                except DomainError as error:
                    outcomes.append(error)
                    continue
                outcomes.append(None)
                if not self._stands(batch, written):
                    changes.append(written)
            problems = self._write(batch, changes) if changes else {}
            return [
                outcome or problems.get(written.entry.node.name)
                for written, outcome in zip(wanted, outcomes, strict=True)
            ]

    def remove(self, names: Sequence[str]) -> Sequence[DomainError | None]:
        """As in the port."""
        with self._lock, self._batch() as batch:
            problems: dict[str, DomainError] = {}
            for name in dict.fromkeys(name for name in names if self._index.get(name)):
                try:
                    batch.entry_notes.rename(name, CLEARED_MARK + name)
                except FileNotFoundError:
                    logger.warning("node=%s its note was gone already", name)
                except DomainError as error:
                    problems[name] = error
                    continue
                self._marked[name] = (*self._marked.get(name, ()), *self._index.names_of(name))
                self._index.remove(name)
            self._clear_marked(batch)
            return [problems.get(name) for name in names]

    def _clear_marked(self, batch: EntryBatch) -> None:
        """Removes the files of entries whose notes are marked, and then the notes. Takes no room on the disk."""
        if not self._marked:
            return
        batch.entry_notes.sync()
        for directory in batch.configurations:
            for name in (name for names in self._marked.values() for name in names):
                if self._index.holder_of(name) is None:
                    directory.remove(name)
            directory.sync()
        for node in self._marked:
            batch.entry_notes.remove(CLEARED_MARK + node)
        self._marked.clear()

    def rewrite(self, node: str) -> None:
        """Writes note and files of an entry anew, whatever stands there."""
        with self._lock, self._batch() as batch:
            written = self._index.get(node)
            problems = self._write(batch, [written]) if written else {}
            for problem in problems.values():
                raise problem

    def _stands(self, batch: EntryBatch, written: WrittenEntry) -> bool:
        """Tells whether the entry is written already, in every file."""
        there = self._index.get(written.entry.node.name)
        if there is None or there.entry != written.entry or there.text != written.text:
            return False
        return all(
            batch_directory.read(name, limit=LARGEST_NOTE) == written.text.encode()
            for batch_directory in batch.configurations
            for name in file_names(written.entry.node)
        )

    def _write(self, batch: EntryBatch, changes: Sequence[WrittenEntry]) -> dict[str, DomainError]:
        nodes = [written.entry.node.name for written in changes]
        names = {name for written in changes for name in file_names(written.entry.node)}
        names |= {name for node in nodes for name in self._index.names_of(node)}
        problems: dict[str, DomainError] = {}
        with contextlib.ExitStack() as leftovers:
            try:
                self._journal.begin(batch.state, nodes, names)
                prepared = [batch.prepare(written, leftovers) for written in changes]
                batch.make_durable(prepared)
            except DomainError as error:
                # Nothing is in its place yet.
                self._end(batch)
                return dict.fromkeys(nodes, error)
            for item in prepared:
                try:
                    self._place(batch, item)
                except DomainError as error:
                    problems[item.written.entry.node.name] = error
            if problems:
                self._journal.remember(nodes, names)
            self._end(batch)
        return problems

    def _place(self, batch: EntryBatch, item: PreparedEntry) -> None:
        node = item.written.entry.node
        old = [name for name in self._index.names_of(node.name) if name not in file_names(node)]
        for directory in batch.configurations:
            for name in file_names(node):
                if self._index.holder_of(name) is None:
                    set_foreign_aside(directory, name)
        batch.entry_notes.rename(item.note, node.name)
        # From here on the new entry is the truth, and a restart would finish it.
        self._index.put(item.written)
        batch.place(item, file_names(node))
        for directory in batch.configurations:
            for name in old:
                directory.remove(name)

    def _end(self, batch: EntryBatch) -> None:
        for directory in (*batch.configurations, batch.entry_notes):
            directory.sync()
        self._journal.end(batch.state)

    def _read_notes(self) -> None:
        with self._open(self._layout.entry_notes) as directory:
            for name in directory.names():
                if not name.startswith(CLEARED_MARK) and (written := _read_note(directory, name)):
                    self._index.put(written)

    def _finish_clearing(self) -> None:
        """Clears the entries whose notes a killed process has marked."""
        with self._batch() as batch:
            for name in batch.entry_notes.names():
                if name.startswith(CLEARED_MARK):
                    written = _read_note(batch.entry_notes, name)
                    self._marked[name.removeprefix(CLEARED_MARK)] = file_names(written.entry.node) if written else ()
            self._clear_marked(batch)

    def _finish_pending(self) -> None:
        """Rolls a batch that was cut off forward."""
        with self._batch() as batch:
            if self._journal.read(batch.state):
                logger.warning("nodes=%d finishing a batch that was cut off", len(self._journal.nodes))
                self._try_to_finish(batch)
                self._journal.end(batch.state)

    def _try_to_finish(self, batch: EntryBatch) -> None:
        """Gives each name of unfinished batches what the notes say. On a full disk that waits for the next batch."""
        if not self._journal.is_unfinished:
            return
        for directory in batch.configurations:
            for name in self._journal.names:
                if self._index.holder_of(name) is None and is_ours(directory, name):
                    directory.remove(name)
        there = [written for node in sorted(self._journal.nodes) if (written := self._index.get(node))]
        for problem in (self._write(batch, there) if there else {}).values():
            if not isinstance(problem, NoSpace):
                raise problem
            logger.error("a batch that was cut off cannot be finished yet: %s", problem.message)
            return
        self._journal.forget()
        self._end(batch)

    def _open(self, path: str) -> Directory:
        return Directory.open(self._layout.root, path)

    @contextlib.contextmanager
    def _batch(self) -> Iterator[EntryBatch]:
        with contextlib.ExitStack() as opened:
            yield EntryBatch(
                state=opened.enter_context(self._open(self._layout.state)),
                entry_notes=opened.enter_context(self._open(self._layout.entry_notes)),
                configurations=tuple(
                    opened.enter_context(self._open(place.configuration)) for place in self._layout.repositories
                ),
            )


def _read_note(directory: Directory, name: str) -> WrittenEntry | None:
    try:
        return notes.read_entry_note(directory.read(name, limit=LARGEST_NOTE) or b"")
    except notes.UnreadableNote as error:
        logger.error("path=%s/%s unreadable note, passed over: %s", directory.path, name, error)  # noqa: TRY400
        return None
