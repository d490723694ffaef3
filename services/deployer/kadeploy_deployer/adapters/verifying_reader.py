"""Reads a file and verifies at its end that its content is the registered one."""

import hashlib
import io
import threading
from typing import TYPE_CHECKING

from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.ports import DigestDiffers, ImageError, OpenedFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PART_BYTES = 1 << 20


class VerifyingReader(io.RawIOBase):
    """The bytes of a file from first to last. Blocks, so use it in threads.

    Args of the constructor:
        file: is read from its beginning, whoever else reads it.
        registered: its digest and size.
        stopped: set when nobody wants the content any more.
    """

    def __init__(self, file: OpenedFile, registered: FileSnapshot, stopped: threading.Event) -> None:
        self._file = file
        self._registered = registered
        self._stopped = stopped
        self._whole = hashlib.sha256()
        self._offset = 0
        # What is written behind this end meanwhile would have no end of its own.
        self._size = file.size()

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Reads on. Raises ImageError, OSError."""
        view = memoryview(buffer)
        part = self._read(len(view))
        view[: len(part)] = part
        return len(part)

    def end(self) -> None:
        """Reads what is left. Raises DigestDiffers if all of it together is not what is registered, OSError."""
        require_registered(self._registered, *self.digest_and_size())

    def digest_and_size(self) -> tuple[str, int]:
        """Reads what is left and returns "sha256:<hex>" and the size of the whole. Raises ImageError, OSError."""
        while self._read(PART_BYTES):
            pass
        return f"sha256:{self._whole.hexdigest()}", self._offset

    def _read(self, length: int) -> bytes:
        if self._stopped.is_set():
            raise ImageError(f"reading {self._file.name} was given up")
        part = self._file.read_at(self._offset, min(length, self._size - self._offset))
        self._offset += len(part)
        self._whole.update(part)
        return part


def require_registered(registered: FileSnapshot, found: str, size: int) -> None:
    """Raises DigestDiffers unless a digest and a size are those of the registered file."""
    if (found, size) == (registered.digest, registered.size_bytes):
        return
    raise DigestDiffers(
        # The address last: it may be long, and what is kept of a failure is not.
        f"{found} ({size} bytes) is found where {registered.digest} ({registered.size_bytes} bytes) is registered: "
        f"{registered.uri}"
    )
