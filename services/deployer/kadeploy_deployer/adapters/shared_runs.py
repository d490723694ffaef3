"""Commands that act on several nodes at once: who wants one that runs already waits for it and gets its result."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kadeploy_deployer.ports import PowerError


@dataclass(slots=True)
class _Run:
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    output: str = ""
    error: PowerError | None = None


class SharedRuns:
    """The commands that run now, by their argument lists."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, ...], _Run] = {}

    async def run(self, arguments: tuple[str, ...], work: Callable[[], Awaitable[str]]) -> str:
        """Returns what the work returns, or what it returns to another caller who began the same before.

        Raises:
            PowerError: the work failed, or the caller who began it was stopped in the middle.
        """
        present = self._running.get(arguments)
        if present is not None:
            await present.ended.wait()
            if present.error is not None:
                raise present.error
            return present.output
        # Until it has ended otherwise.
        mine = self._running[arguments] = _Run(error=PowerError(f"{arguments[0]} was stopped in the middle"))
        try:
            mine.output = await work()
            mine.error = None
        except PowerError as error:
            mine.error = error
            raise
        finally:
            del self._running[arguments]
            mine.ended.set()
        return mine.output
