"""Boot files on the disk: one file by content in every repository, a note on each beside our other notes."""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from kadeploy_bootctl.domain import digest as digests
from kadeploy_bootctl.domain.boot_file import BootFile
from kadeploy_bootctl.domain.errors import NoSpace
from kadeploy_bootctl.tree import notes
from kadeploy_bootctl.tree.directory import PRIVATE_FILE, PUBLIC_FILE, Directory, write_all
from kadeploy_bootctl.tree.entry_store import LARGEST_NOTE
from kadeploy_bootctl.tree.layout import Layout

logger = logging.getLogger(__name__)

COPY_BYTES = 1 << 20


class TftpFileStore:
    """The boot files of a tree.

    Args:
        layout: where things are.
        reserved_bytes: what an upload leaves free.
    """

    def __init__(self, layout: Layout, *, reserved_bytes: int) -> None:
        self._layout = layout
        self._reserved_bytes = reserved_bytes

    def get(self, digest: str) -> BootFile | None:
        """As in the port."""
        with self._notes() as notes_directory, self._places() as places:
            return _find(notes_directory, places, digest)

    def all(self) -> Sequence[BootFile]:
        """As in the port."""
        with self._notes() as notes_directory, self._places() as places:
            digests_there = (digests.of_file_name(name) for name in notes_directory.names())
            found = (_find(notes_directory, places, digest) for digest in digests_there if digest)
            return [file for file in found if file]

    def renew(self, digest: str, *, now: datetime) -> BootFile | None:
        """As in the port."""
        with self._notes() as notes_directory, self._places() as places:
            if _find(notes_directory, places, digest) is None:
                return None
            # The note's own time says when the file was last wanted; a touched content would look changed.
            _touch(notes_directory, digests.file_name(digest), now)
            return _find(notes_directory, places, digest)

    @contextlib.contextmanager
    def receive(self, digest: str, size: int) -> Iterator["TftpIncoming"]:
        """As in the port."""
        with self._notes() as notes_directory, self._places() as places:
            for place in places:
                if place.free_bytes() - self._reserved_bytes < size:
                    raise NoSpace(place.path, size)
            with contextlib.ExitStack() as leftovers:
                name, fd = leftovers.enter_context(places[0].create(mode=PUBLIC_FILE))
                leftovers.callback(places[0].remove, name)
                yield TftpIncoming(digest, size, name=name, fd=fd, places=places, notes_directory=notes_directory)

    def delete(self, digest: str) -> None:
        """As in the port."""
        name = digests.file_name(digest)
        with self._notes() as notes_directory, self._places() as places:
            # The note goes last: as long as it is there, a half-removed file is not taken for one that nobody knows.
            for place in places:
                place.remove(name)
                place.sync()
            notes_directory.remove(name)
            notes_directory.sync()
        logger.info("digest=%s deleted", digest)

    def missing_plain_files(self, names: Sequence[str]) -> Sequence[str]:
        """As in the port."""
        with self._places() as places:
            return [f"{place.path}/{name}" for place in places for name in names if not place.is_file(name)]

    def _notes(self) -> Directory:
        return Directory.open(self._layout.root, self._layout.file_notes)

    @contextlib.contextmanager
    def _places(self) -> Iterator[tuple[Directory, ...]]:
        with contextlib.ExitStack() as opened:
            yield tuple(
                opened.enter_context(Directory.open(self._layout.root, place.files))
                for place in self._layout.repositories
            )


class TftpIncoming:
    """A boot file while it comes in, under a temporary name in the first repository."""

    def __init__(
        self,
        digest: str,
        size: int,
        *,
        name: str,
        fd: int,
        places: Sequence[Directory],
        notes_directory: Directory,
    ) -> None:
        self._digest = digest
        self._size = size
        self._name = name
        self._fd = fd
        self._places = places
        self._notes_directory = notes_directory

    def write(self, content: bytes) -> None:
        """As in the port."""
        with self._places[0].room():
            write_all(self._fd, content)

    def keep(self, *, description: str, now: datetime) -> BootFile:
        """As in the port."""
        with self._places[0].room():
            os.fsync(self._fd)
        note = notes.file_note(size=self._size, description=description, create_time=now)
        temporary_note = self._notes_directory.write(note, mode=PRIVATE_FILE)
        self._notes_directory.make_durable([temporary_note])
        name = digests.file_name(self._digest)
        for place in self._places:
            if not place.place_link(self._places[0], self._name, name):
                self._copy_to(place, name)
            place.sync()
        # The note comes last: a file without it does not count, and is received again.
        self._notes_directory.rename(temporary_note, name)
        _touch(self._notes_directory, name, now)
        self._notes_directory.sync()
        logger.info("digest=%s size=%d received", self._digest, self._size)
        return BootFile(
            digest=self._digest, size=self._size, description=description, create_time=now, last_upload_time=now
        )

    def _copy_to(self, place: Directory, name: str) -> None:
        source = os.open(self._name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._places[0].fd)
        with os.fdopen(source, "rb") as file, place.create(mode=PUBLIC_FILE) as (temporary, fd):
            while portion := file.read(COPY_BYTES):
                write_all(fd, portion)
            os.fsync(fd)
            place.rename(temporary, name)


def _find(notes_directory: Directory, places: Sequence[Directory], digest: str) -> BootFile | None:
    name = digests.file_name(digest)
    content = notes_directory.read(name, limit=LARGEST_NOTE)
    note_status = notes_directory.status(name)
    if content is None or note_status is None:
        return None
    try:
        size, description, create_time = notes.read_file_note(content)
    except notes.UnreadableNote as error:
        logger.warning("digest=%s unreadable note, the file does not count: %s", digest, error)
        return None
    for place in places:
        status = place.status(name)
        if status is None or not place.is_file(name) or status.st_size != size:
            return None
    return BootFile(
        digest=digest,
        size=size,
        description=description,
        create_time=create_time,
        last_upload_time=datetime.fromtimestamp(note_status.st_mtime, tz=UTC),
    )


def _touch(directory: Directory, name: str, now: datetime) -> None:
    seconds = now.timestamp()
    os.utime(name, (seconds, seconds), dir_fd=directory.fd, follow_symlinks=False)
