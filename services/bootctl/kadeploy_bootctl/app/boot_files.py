"""Receiving, showing and collecting boot files."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from kadeploy_bootctl.app.ports import Clock, EntryStore, FileStore, GrubImages
from kadeploy_bootctl.domain import digest as digests
from kadeploy_bootctl.domain.boot_file import BootFile
from kadeploy_bootctl.domain.errors import (
    BootFileNotFound,
    BootFileTooLarge,
    DigestMismatch,
    InvalidUpload,
)
from kadeploy_bootctl.domain.grub_image import mentioned_in
from kadeploy_bootctl.domain.texts import LONGEST_OWNER

# A file that was just uploaded has no entry yet.
KEEP_UNUSED = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an uploader announces."""

    digest: str
    size: int
    description: str

    def __post_init__(self) -> None:
        digests.parse(self.digest)
        if self.size <= 0:
            raise InvalidUpload("header.size_bytes", f"{self.size} bytes were announced; a boot file has at least one")
        if len(self.description) > LONGEST_OWNER or not self.description.isprintable():
            raise InvalidUpload(
                "header.description", f"a description is at most {LONGEST_OWNER} printable characters on one line"
            )


def upload_boot_file(
    header: Header,
    content: Iterable[bytes],
    *,
    maximum_bytes: int,
    files: FileStore,
    entries: EntryStore,
    clock: Clock,
) -> BootFile:
    """Stores a file unless it is there already; anything but the announced content leaves nothing.

    Raises:
        BootFileTooLarge: it is larger than `maximum_bytes`.
        NoSpace: the tree has no room.
        DigestMismatch: another content came.
    """
    if header.size > maximum_bytes:
        raise BootFileTooLarge(header.size, maximum_bytes)
    with entries.exclusive():
        present = files.renew(header.digest, now=clock())
    if present is not None:
        return present
    with files.receive(header.digest, header.size) as incoming:
        received, sum_so_far = 0, hashlib.sha256()
        for portion in content:
            received += len(portion)
            if received > header.size:
                raise DigestMismatch(f"{header.size} bytes", "longer")
            sum_so_far.update(portion)
            incoming.write(portion)
        if received != header.size:
            raise DigestMismatch(f"{header.size} bytes", f"{received} bytes")
        found = f"sha256:{sum_so_far.hexdigest()}"
        if found != header.digest:
            raise DigestMismatch(header.digest, found)
        with entries.exclusive():
            return incoming.keep(description=header.description, now=clock())


def get_boot_file(digest: str, *, files: FileStore) -> BootFile:
    """Returns the file, or raises BootFileNotFound or InvalidDigest."""
    found = files.get(digests.parse(digest))
    if found is None:
        raise BootFileNotFound(digest)
    return found


def list_boot_files(*, after: str, limit: int, files: FileStore) -> tuple[list[BootFile], bool]:
    """Returns at most `limit` files by digest, and whether more follow."""
    found = list(islice((file for file in files.all() if file.digest > after), limit + 1))
    return found[:limit], len(found) > limit


def delete_unused_boot_files(
    *, validate_only: bool, files: FileStore, images: GrubImages, entries: EntryStore, clock: Clock
) -> list[BootFile]:
    """Removes the files that no entry names and nobody uploaded within the last hour; returns them.

    GRUB images go in the same way; as bootctl makes them anew whenever an entry needs them, they are not told.
    """
    with entries.exclusive():
        references = entries.reference_counts()
        unused = [file for file in files.all() if _is_unused(file, references, clock)]
        for file in unused if not validate_only else ():
            files.delete(file.digest)
        if not validate_only:
            used = frozenset(name for written in entries.all() for name in mentioned_in(written.text))
            images.delete_unused(used, now=clock(), keep=KEEP_UNUSED)
    return unused


def _is_unused(file: BootFile, references: Mapping[str, int], clock: Clock) -> bool:
    return not references.get(file.digest) and clock() - file.last_upload_time > KEEP_UNUSED
