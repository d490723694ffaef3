"""Collects from time to time, while bootctl serves, the boot files that no entry needs any more."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Self

from kadeploy_bootctl.domain.boot_file import BootFile
from kadeploy_edge.errors import DomainError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 3600.0
END_SECONDS = 10.0


class Collector:
    """Runs in a thread of its own for as long as it is entered. A collection that fails is told and tried again."""

    def __init__(self, collect: Callable[[], Sequence[BootFile]], *, pause: float = PAUSE_SECONDS) -> None:
        """Does nothing yet.

        Args:
            collect: removes what is unused and returns it.
            pause: seconds between two collections, and before the first.
        """
        self._collect = collect
        self._pause = pause
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(END_SECONDS)

    @property
    def has_ended(self) -> bool:
        """Returns whether nothing is collected any more."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ended.wait(self._pause):
            try:
                removed = self._collect()
            except (DomainError, OSError) as error:
                logger.warning("unused boot files cannot be collected: %s", error)
                continue
            for file in removed:
                logger.info("collected %s, which no entry names (%s)", file.digest, file.description)
