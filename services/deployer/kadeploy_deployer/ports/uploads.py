"""Keeping the files that users upload. Adapter: `adapters/upload_store.py`."""

from collections.abc import Sequence
from typing import Protocol

from kadeploy_deployer.domain.upload import Upload, UploadAddress


class ReceivedPart(Protocol):
    """A file on its way, of which more may come."""

    @property
    def received(self) -> int:
        """Bytes that are there."""

    def write(self, content: bytes) -> None:
        """Appends bytes."""

    def finish(self) -> None:
        """Proves the whole and keeps it."""

    def close(self) -> None:
        """Closes it; what came stays."""


class UploadKeeper(Protocol):
    """Keeps uploads. All of it blocks. Errors are those of `domain.upload`, and OSError."""

    def find(self, address: UploadAddress) -> Upload:
        """Returns what is there of a file, and notes that it is used."""

    def begin(self, address: UploadAddress, offset: int) -> ReceivedPart:
        """Opens a file to go on from an offset."""

    def list(self, owner: str) -> Sequence[Upload]:
        """Returns what an owner has."""

    def remove(self, address: UploadAddress) -> None:
        """Takes a file from its owner."""

    def collect(self, named: frozenset[str], *, before: float) -> Sequence[str]:
        """Removes what nobody names and nobody has used since a time; returns the addresses."""
