"""Lets one process at a time bring a lab up or down."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kadeploy_lab.errors import LabError


@contextmanager
def exclusive(directory: Path, name: str) -> Iterator[None]:
    """Holds the lab's lock; the kernel lets go of it when the process dies, however it dies."""
    with (directory / "lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise LabError(
                f"Another process is bringing the lab '{name}' up or down: try again when it is done."
            ) from busy
        yield
