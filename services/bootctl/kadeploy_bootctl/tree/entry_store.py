"""The entries on the disk: the note on each, and its files in every repository.

A batch is written in this order, so that a kill or a power cut at any moment leaves only old or new files and the next
start can finish the work: the journal (nodes and names that may change), all new contents under temporary names, all
contents made durable, then for each entry its note and its files put in place, then the directories made durable,
then the journal removed.
"""

import contextlib
import fcntl
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.domain.boot_entry import BootNode, file_names
from kadeploy_bootctl.domain.boot_target import files_of
from kadeploy_bootctl.domain.errors import TreeDamaged
from kadeploy_bootctl.tree import notes
from kadeploy_bootctl.tree.directory import PRIVATE_FILE, Directory
from kadeploy_bootctl.tree.entry_batch import EntryBatch, PreparedEntry, is_ours, set_foreign_aside
from kadeploy_bootctl.tree.entry_index import Claims, EntryIndex
from kadeploy_bootctl.tree.layout import Layout
from kadeploy_edge.errors import DomainError, Exhausted

logger = logging.getLogger(__name__)

LOCK = "lock"
PENDING = "pending"
LARGEST_NOTE = 1 << 20


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
        # Names that a failed batch may have left half-changed; they stay in the journal.
        self._unfinished: tuple[set[str], set[str]] = (set(), set())

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
            there = [name for name in names if self._index.get(name)]
            if there:
                self._begin(batch, there, (file for name in there for file in self._index.names_of(name)))
                for name in there:
                    batch.entry_notes.remove(name)
                    for directory in batch.configurations:
                        for file in self._index.names_of(name):
                            directory.remove(file)
                    self._index.remove(name)
                self._end(batch, failed=False)
            return [None] * len(names)

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
                self._begin(batch, nodes, names)
                prepared = [batch.prepare(written, leftovers) for written in changes]
                batch.make_durable(prepared)
            except DomainError as error:
                return dict.fromkeys(nodes, error)
            for item in prepared:
                try:
                    self._place(batch, item)
                except DomainError as error:
                    problems[item.written.entry.node.name] = error
            self._end(batch, failed=bool(problems))
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

    def _begin(self, batch: EntryBatch, nodes: Iterable[str], names: Iterable[str]) -> None:
        self._unfinished[0].update(nodes)
        self._unfinished[1].update(names)
        content = notes.pending_note(*self._unfinished)
        temporary = batch.state.write(content, mode=PRIVATE_FILE)
        batch.state.make_durable([temporary])
        batch.state.rename(temporary, PENDING)
        batch.state.sync()

    def _end(self, batch: EntryBatch, *, failed: bool) -> None:
        for directory in (*batch.configurations, batch.entry_notes):
            directory.sync()
        if not failed:
            batch.state.remove(PENDING)
            for waiting in self._unfinished:
                waiting.clear()

    def _read_notes(self) -> None:
        with self._open(self._layout.entry_notes) as directory:
            for name in directory.names():
                try:
                    self._index.put(notes.read_entry_note(directory.read(name, limit=LARGEST_NOTE) or b""))
                except notes.UnreadableNote as error:
                    logger.error("path=%s/%s unreadable note, passed over: %s", directory.path, name, error)  # noqa: TRY400

    def _finish_pending(self) -> None:
        """Rolls a batch that was cut off forward: each of its names gets what the notes say."""
        with self._open(self._layout.state) as state:
            content = state.read(PENDING, limit=LARGEST_NOTE * 16)
        if content is None:
            return
        try:
            nodes, names = notes.read_pending_note(content)
        except notes.UnreadableNote as error:
            raise TreeDamaged(f"{self._layout.state}/{PENDING}", f"cannot be read ({error}): remove it") from error
        logger.warning("nodes=%d finishing a batch that was cut off", len(nodes))
        with self._batch() as batch:
            for directory in batch.configurations:
                for name in names:
                    if self._index.holder_of(name) is None and is_ours(directory, name):
                        directory.remove(name)
            there = [written for node in sorted(nodes) if (written := self._index.get(node))]
            for problem in self._write(batch, there).values():
                raise problem
            self._end(batch, failed=False)

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
