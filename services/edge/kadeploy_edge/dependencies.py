"""What a service depends on, looked at every few seconds: databases, directories, other services."""

import asyncio
import concurrent.futures
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from kadeploy_edge.errors import DomainError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 3.0
CHECK_SECONDS = 4.0
"""Together they are less than the ten seconds in which the loss of something has to be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One thing that a service depends on.

    Attributes:
        name: as the health protocol has it: "deploy_state", "inventory", "tree".
        check: a coroutine, or a plain function that runs in a thread; raises for what is not as it should be.
        is_vital: whether the service as a whole does not serve without it.
    """

    name: str
    check: Callable[[], Awaitable[None] | None]
    is_vital: bool = True


class DependencyWatch:
    """Knows how each dependency was when it was looked at last."""

    def __init__(self, dependencies: Sequence[Dependency], on_change: Callable[[], None] = lambda: None) -> None:
        """Looks at nothing yet; until then everything is taken to be as it should.

        Args:
            dependencies: what is looked at.
            on_change: is called when something has changed.
        """
        self._dependencies = {each.name: each for each in dependencies}
        self._problems = dict.fromkeys(self._dependencies, "")
        self._on_change = on_change
        # A thread each: one that hangs keeps no other from being looked at.
        self._threads = {
            name: concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix=f"health-{name}")
            for name in self._dependencies
        }
        self._hanging: dict[str, asyncio.Future[None]] = {}

    @property
    def names(self) -> frozenset[str]:
        """The names of all dependencies."""
        return frozenset(self._dependencies)

    def problem(self, name: str = "") -> str:
        """Returns what is wrong with a dependency; of all vital ones for no name. Empty: all is as it should be."""
        if name:
            return self._problems[name]
        found = (problem for each, problem in self._problems.items() if problem and self._dependencies[each].is_vital)
        return "; ".join(found)

    async def look(self) -> float:
        """Looks at everything once, side by side. Returns the seconds until it should be done again."""
        found = await asyncio.gather(*map(self._look_at, self._dependencies.values()))
        before, self._problems = self._problems, dict(zip(self._dependencies, found, strict=True))
        for name, problem in self._problems.items():
            if problem and not before[name]:
                logger.warning("dependency=%s is lost: %s", name, problem)
            elif before[name] and not problem:
                logger.warning("dependency=%s is back", name)
        if before != self._problems:
            self._on_change()
        return LOOK_SECONDS

    def close(self) -> None:
        """Waits for no check any more."""
        for pool in self._threads.values():
            pool.shutdown(wait=False, cancel_futures=True)

    async def _look_at(self, dependency: Dependency) -> str:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._check(dependency)
        except TimeoutError:
            return f"{dependency.name} said nothing for {CHECK_SECONDS:g} s"
        except DomainError as error:
            return error.message
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the dependency is not as it should be
            return f"{dependency.name}: {error or type(error).__name__}"
        return ""

    async def _check(self, dependency: Dependency) -> None:
        if inspect.iscoroutinefunction(dependency.check):
            await dependency.check()
            return
        running = self._hanging.get(dependency.name)
        if running is None or running.done():
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._threads[dependency.name], _run, dependency)
            self._hanging[dependency.name] = running
        # A thread cannot be ended: one that hangs is waited for again the next time.
        await asyncio.shield(running)


def _run(dependency: Dependency) -> None:
    dependency.check()
