"""Watching a node while it boots, and saying where a boot broke. Adapter: `adapters/site_boot_watch.py`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from typing_extensions import override

from kadeploy_deployer.domain.boot_diagnosis import BootDiagnosis, BootRecord
from kadeploy_deployer.domain.snapshot import NodeSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLog:
    """What the boot servers did for a machine.

    Attributes:
        records: of the machine.
        unanswered: hardware addresses of machines that asked for an address and got none.
        sources: the log files that were read.
        problems: sentences on what could not be read.
    """

    records: Sequence[BootRecord] = ()
    unanswered: Sequence[str] = ()
    sources: Sequence[str] = ()
    problems: Sequence[str] = field(default=())


class BootObserver(Protocol):
    """Watches one node."""

    def console(self) -> str:
        """Returns the last 64 KiB of the serial console since the boot began, each line with its time."""
        ...

    async def explain(self, *, seen: str, wrong: bool) -> BootDiagnosis:
        """Returns where the boot broke. Raises nothing: what cannot be asked is no evidence.

        Args:
            seen: what the last look by ssh found.
            wrong: whether another system than the awaited one answers.
        """
        ...


class BootWatch(Protocol):
    """Watches nodes."""

    def watch(self, node: NodeSnapshot) -> AbstractAsyncContextManager[BootObserver]:
        """Watches a node until the block ends: reads its console, if the site has one and nobody else reads it."""
        ...

    async def server_log(self, node: NodeSnapshot, *, since: float) -> ServerLog:
        """Returns what the boot servers did for a node since a time. Raises nothing: a problem is part of it."""
        ...

    async def release_console(self, node: str) -> None:
        """Stops reading the console of a node: a user wants it."""
        ...


class NullBootWatch(BootWatch):
    """Watches nothing and explains nothing."""

    @override
    @asynccontextmanager
    async def watch(self, node: NodeSnapshot) -> AsyncIterator[BootObserver]:
        yield _NullObserver()

    @override
    async def server_log(self, node: NodeSnapshot, *, since: float) -> ServerLog:
        return ServerLog()

    @override
    async def release_console(self, node: str) -> None:
        return None


class _NullObserver(BootObserver):
    @override
    def console(self) -> str:
        return ""

    @override
    async def explain(self, *, seen: str, wrong: bool) -> BootDiagnosis:
        return BootDiagnosis()
