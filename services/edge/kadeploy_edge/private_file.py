"""Files that are closed to others: secrets, of which nothing gets into a message, and what services write."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kadeploy_edge.errors import Invalid

OTHERS = stat.S_IRWXO | stat.S_IWGRP
CLOSED_UMASK = 0o027
LARGEST_BYTES = 64 * 1024


class UnusablePrivateFile(Invalid):
    """A file with a secret is not there, or others than its owner and its group can get at it."""

    reason = "UNUSABLE_PRIVATE_FILE"


@contextmanager
def closed_to_others() -> Iterator[None]:
    """Makes files and directories that are created meanwhile 0640 and 0750 at most; a stricter umask stays."""
    before = os.umask(0o077)
    os.umask(before | CLOSED_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def check_private(path: Path) -> None:
    """Raises UnusablePrivateFile unless the file is there and closed to others (mode 0600, 0400, 0640 or 0440)."""
    try:
        status = path.stat()
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise _unusable(path, "is no file")
    mode = stat.S_IMODE(status.st_mode)
    if mode & OTHERS:
        raise _unusable(path, f"holds a secret but has mode {mode:04o}: chmod 600 (or 640) it")


def read_private(path: Path) -> str:
    """Returns the text of a file with a secret without the blanks around it, or raises UnusablePrivateFile."""
    check_private(path)
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_BYTES).decode("utf-8").strip()
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        # Without the cause: it shows what was read.
        raise _unusable(path, "is not text") from None
    if not text:
        raise _unusable(path, "is empty")
    return text


def _unusable(path: Path, what: str) -> UnusablePrivateFile:
    return UnusablePrivateFile(f"{path} {what}", metadata={"path": str(path)})
