"""Comparing the tree with what it should be, and putting our own files right. Others' files are told, never touched."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.domain import digest as digests
from kadeploy_bootctl.domain.finding import Finding, FindingKind
from kadeploy_bootctl.domain.grub_image import is_image_name
from kadeploy_bootctl.domain.label import KernelLabel
from kadeploy_bootctl.tree import notes
from kadeploy_bootctl.tree.check import check_tree
from kadeploy_bootctl.tree.directory import PRIVATE_FILE, Directory, is_temporary
from kadeploy_bootctl.tree.entry_batch import is_ours
from kadeploy_bootctl.tree.entry_store import LARGEST_NOTE, TftpEntryStore
from kadeploy_bootctl.tree.file_store import TftpFileStore
from kadeploy_bootctl.tree.layout import DEFAULT_NAMES, STATE_DIRECTORY, Layout
from kadeploy_bootctl.tree.loaders import MEMDISK, Sources

READ_BYTES = 1 << 20


class TftpTreeInspector:
    """Looks at the tree as a whole, for the administrator."""

    def __init__(
        self,
        layout: Layout,
        *,
        entries: TftpEntryStore,
        files: TftpFileStore,
        labels: Mapping[str, KernelLabel],
        sources: Sources,
        reserved_bytes: int,
    ) -> None:
        self._layout = layout
        self._entries = entries
        self._files = files
        self._labels = labels
        self._sources = sources
        self._reserved_bytes = reserved_bytes

    def check(self) -> Sequence[Finding]:
        """As in the port."""
        return check_tree(self._layout, labels=self._labels, sources=self._sources, reserved_bytes=self._reserved_bytes)

    def reconcile(self, *, repair: bool) -> Sequence[Finding]:
        """As in the port."""
        # Contents are read without the lock, for that takes long; what looks wrong is looked at again with it.
        suspects = [digest for digest in self._known_digests() if self._bad_places(digest)]
        with self._entries.exclusive():
            findings: list[Finding] = []
            for written in self._entries.all():
                findings += self._entry_findings(written, repair=repair)
            for place in self._layout.repositories:
                findings += self._configuration_findings(place.configuration, repair=repair)
                findings += self._foreign_files(place.files)
            for digest in suspects:
                findings += self._file_findings(digest, repair=repair)
            return findings

    def _entry_findings(self, written: WrittenEntry, *, repair: bool) -> list[Finding]:
        node = written.entry.node
        expected = {path: written.text.encode() for path in self._entries.paths(node)}
        expected[f"{self._layout.entry_notes}/{node.name}"] = notes.entry_note(written)
        found: list[Finding] = []
        for path, content in expected.items():
            directory_path, _, name = path.rpartition("/")
            with Directory.open(self._layout.root, directory_path) as directory:
                if directory.status(name) is None:
                    found.append(_missing(path, f"a file of the entry of {node.name}"))
                elif directory.read(name, limit=LARGEST_NOTE) != content:
                    found.append(_changed(path, f"it is not what was written for {node.name}"))
        if found and repair:
            self._entries.rewrite(node.name)
        return [replace(finding, repaired=repair) for finding in found]

    def _configuration_findings(self, path: str, *, repair: bool) -> Iterator[Finding]:
        with Directory.open(self._layout.root, path) as directory:
            for name in directory.names():
                if name in DEFAULT_NAMES or is_temporary(name) or self._entries.node_of(name) is not None:
                    continue
                if not is_ours(directory, name):
                    yield _unknown(f"{path}/{name}", "bootctl did not write it; remove it when nobody needs it")
                    continue
                if repair:
                    directory.remove(name)
                    directory.sync()
                yield replace(_unknown(f"{path}/{name}", "left over from an entry that is gone"), repaired=repair)

    def _foreign_files(self, path: str) -> Iterator[Finding]:
        known = {STATE_DIRECTORY, MEMDISK}
        known |= {name for label in self._labels.values() for name in (label.kernel, label.initrd)}
        with Directory.open(self._layout.root, path) as directory:
            for name in directory.names():
                if name not in known and not is_temporary(name) and not _is_made(name):
                    yield _unknown(f"{path}/{name}", "bootctl did not write it; remove it when nobody needs it")

    def _known_digests(self) -> list[str]:
        paths = [self._layout.file_notes, *(place.files for place in self._layout.repositories)]
        names: set[str] = set()
        for path in paths:
            with Directory.open(self._layout.root, path) as directory:
                names.update(directory.names())
        return sorted(digest for name in names if (digest := digests.of_file_name(name)))

    def _bad_places(self, digest: str) -> dict[str, str]:
        """Returns the paths where a boot file or its note is not right, and what is wrong there."""
        name = digests.file_name(digest)
        problems: dict[str, str] = {}
        for place in self._layout.repositories:
            with Directory.open(self._layout.root, place.files) as directory:
                if problem := _content_problem(directory, name, digest):
                    problems[f"{place.files}/{name}"] = problem
        with Directory.open(self._layout.root, self._layout.file_notes) as directory:
            if not _is_readable_note(directory.read(name, limit=LARGEST_NOTE)):
                problems[f"{directory.path}/{name}"] = "the note on the file is missing or unreadable"
        return problems

    def _file_findings(self, digest: str, *, repair: bool) -> list[Finding]:
        problems = self._bad_places(digest)
        if problems and repair:
            self._repair_file(digest, problems)
        return [
            replace(_missing(path, problem) if "missing" in problem else _changed(path, problem), repaired=repair)
            for path, problem in problems.items()
        ]

    def _repair_file(self, digest: str, problems: Mapping[str, str]) -> None:
        """Links the good content to where it is missing; without a good one, removes the file, to be uploaded again."""
        name = digests.file_name(digest)
        with ExitStack() as opened:
            places = [
                opened.enter_context(Directory.open(self._layout.root, place.files))
                for place in self._layout.repositories
            ]
            good = next((place for place in places if f"{place.path}/{name}" not in problems), None)
            if good is None:
                self._files.delete(digest)
                return
            for place in places:
                if f"{place.path}/{name}" in problems and not place.place_link(good, name, name):
                    # On another file system: an upload brings it back to both.
                    self._files.delete(digest)
                    return
                place.sync()
            note_path = f"{self._layout.file_notes}/{name}"
            if note_path in problems:
                status = good.status(name)
                size = status.st_size if status else 0
                note = notes.file_note(size=size, description="found again", create_time=datetime.now(UTC))
                directory = opened.enter_context(Directory.open(self._layout.root, self._layout.file_notes))
                temporary = directory.write(note, mode=PRIVATE_FILE)
                directory.make_durable([temporary])
                directory.rename(temporary, name)
                directory.sync()


def _is_made(name: str) -> bool:
    return digests.of_file_name(name) is not None or is_image_name(name)


def _content_problem(directory: Directory, name: str, digest: str) -> str:
    if not directory.is_file(name):
        return "the boot file is missing here"
    found = hashlib.sha256()
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory.fd), "rb") as file:
        while portion := file.read(READ_BYTES):
            found.update(portion)
    return "" if f"sha256:{found.hexdigest()}" == digest else "its content is not what its name says"


def _is_readable_note(content: bytes | None) -> bool:
    if content is None:
        return False
    try:
        notes.read_file_note(content)
    except notes.UnreadableNote:
        return False
    return True


def _missing(path: str, description: str) -> Finding:
    return Finding(kind=FindingKind.MISSING_FILE, path=path, description=description)


def _changed(path: str, description: str) -> Finding:
    return Finding(kind=FindingKind.CHANGED_FILE, path=path, description=description)


def _unknown(path: str, description: str) -> Finding:
    return Finding(kind=FindingKind.UNKNOWN_FILE, path=path, description=description)
