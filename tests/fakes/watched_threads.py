"""Threads for work on files, with which a manual clock can go along."""

from collections.abc import Callable
from typing import TypeVar

from kadeploy_deployer.files.file_threads import FileThreads, Work

_Result = TypeVar("_Result")


class WatchedThreads(FileThreads):
    """Knows how many calls are under way: a manual clock stands still meanwhile."""

    def __init__(self) -> None:
        super().__init__(in_all=4, per_user=4)
        self.pending = 0

    async def run(
        self, work: Work[_Result], *, user: str = "", discard: Callable[[_Result], None] = lambda _: None
    ) -> _Result:
        """Counts."""
        self.pending += 1
        try:
            return await super().run(work, user=user, discard=discard)
        finally:
            self.pending -= 1
