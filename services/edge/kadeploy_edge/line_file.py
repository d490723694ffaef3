"""A file of lines that several processes append to, closed to others: opened for each line, so it may be rotated."""

import errno
import logging
import os
import stat
from pathlib import Path
from typing import Final

OWNER_AND_GROUP: Final = 0o640

logger = logging.getLogger(__name__)


def append(path: Path, text: str) -> None:
    """Adds ASCII text to a file, whole or not at all. Raises OSError, also for a disk that took only a part."""
    content = text.encode("ascii")
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, OWNER_AND_GROUP)
    with os.fdopen(number, "ab", buffering=0) as file:
        status = os.fstat(number)
        regular = stat.S_ISREG(status.st_mode)
        mode = stat.S_IMODE(status.st_mode)
        if regular and mode & ~OWNER_AND_GROUP:
            os.fchmod(number, mode & OWNER_AND_GROUP)
            logger.warning("path=%s was open to others (%04o) and is closed to them now", path, mode)
        # One write: lines of several processes never mix.
        written = file.write(content) or 0
        if written < len(content):
            # Half a line would spoil the next one, too. What another process added since stays.
            if regular and os.fstat(number).st_size == status.st_size + written:
                os.ftruncate(number, status.st_size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
