"""What the use cases want of the TFTP tree."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode
from kadeploy_bootctl.domain.boot_file import BootFile
from kadeploy_bootctl.domain.boot_log import BootLog
from kadeploy_bootctl.domain.finding import Finding
from kadeploy_bootctl.domain.grub_image import GrubImage
from kadeploy_edge.errors import DomainError


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenEntry:
    """An entry and the text of its files, as they were written."""

    entry: BootEntry
    text: str


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> datetime:
        """Returns now, with a time zone."""
        ...


class EntryStore(Protocol):
    """The entries and their files in every repository."""

    def exclusive(self) -> AbstractContextManager[object]:
        """Keeps other writers of the tree out while the context lasts."""
        ...

    def get(self, name: str) -> WrittenEntry | None:
        """Returns the node's entry, or None."""
        ...

    def all(self) -> Sequence[WrittenEntry]:
        """Returns every entry, by node name."""
        ...

    def put(self, wanted: Sequence[WrittenEntry]) -> Sequence[DomainError | None]:
        """Writes entries to every repository, durably when it returns; tells for each, in order, what went wrong."""
        ...

    def remove(self, names: Sequence[str]) -> Sequence[DomainError | None]:
        """Removes the entries of nodes, durably when it returns; a node without an entry is no error."""
        ...

    def paths(self, node: BootNode) -> tuple[str, ...]:
        """Returns where the node's files are, relative to the TFTP root."""
        ...

    def reference_counts(self) -> Mapping[str, int]:
        """Returns how many entries name each boot file, by digest."""
        ...


class Incoming(Protocol):
    """A boot file while it comes in; nobody sees it before `keep`."""

    def write(self, content: bytes) -> None:
        """Adds bytes. Raises NoSpace."""
        ...

    def keep(self, *, description: str, now: datetime) -> BootFile:
        """Makes the file durable and visible in every repository. Raises NoSpace."""
        ...


class FileStore(Protocol):
    """Boot files, by content."""

    def get(self, digest: str) -> BootFile | None:
        """Returns the file if every repository has it whole, else None."""
        ...

    def all(self) -> Sequence[BootFile]:
        """Returns every file, by digest."""
        ...

    def renew(self, digest: str, *, now: datetime) -> BootFile | None:
        """Notes that the file was wanted again, so that it is not collected; None when it is not there."""
        ...

    def receive(self, digest: str, size: int) -> AbstractContextManager[Incoming]:
        """Opens a file for content that has yet to come; leaving without `keep` leaves nothing. Raises NoSpace."""
        ...

    def delete(self, digest: str) -> None:
        """Removes the file from every repository."""
        ...

    def missing_plain_files(self, names: Sequence[str]) -> Sequence[str]:
        """Returns the paths, relative to the TFTP root, of those files of the labels that are not there."""
        ...


class GrubImages(Protocol):
    """Images that boot BIOS machines from their own disk."""

    def make(self, image: GrubImage) -> None:
        """Makes the image unless every repository has it. Raises a DomainError: GRUB is missing or there is no room."""
        ...

    def delete_unused(self, used: frozenset[str], *, now: datetime, keep: timedelta) -> None:
        """Removes the images that are older than `keep` and not among the names in `used`."""
        ...


class BootLogReader(Protocol):
    """What the servers of this host have logged of machines that boot."""

    def read(self) -> BootLog:
        """Returns what the logs say now; one that cannot be read is named."""
        ...


class TreeInspector(Protocol):
    """Looks at the tree as a whole."""

    def check(self) -> Sequence[Finding]:
        """Verifies loaders, directories, labels and space; changes nothing."""
        ...

    def reconcile(self, *, repair: bool) -> Sequence[Finding]:
        """Compares what should be there with what is; with `repair` puts our own files right."""
        ...
