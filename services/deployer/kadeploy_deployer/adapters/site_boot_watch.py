"""Watches the boots of a site: consoles by the nodes' commands, and bootctl for what its host's servers have logged."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from typing_extensions import override

from kadeploy_deployer.domain.boot_diagnosis import BootDiagnosis, BootFacts, console_records, diagnose
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.nodes.console_tail import ConsoleTail
from kadeploy_deployer.ports import Clock, Console, ConsoleError, Power, PowerError
from kadeploy_deployer.ports.boot_watch import BootObserver, BootWatch, ServerLog

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0
"""Before a console that has ended is read again: many end when the machine loses its power."""
SLACK_SECONDS = 5.0
"""By so much the clocks of the hosts may differ."""
POWER_SECONDS = 15.0

ReadServers = Callable[[NodeSnapshot, float], Awaitable[ServerLog]]


class SiteBootWatch(BootWatch):
    """Reads at most so many consoles at once; nodes beyond that are watched without theirs.

    Args:
        console: reaches consoles.
        power: says whether a machine has power.
        read_servers: asks bootctl; gives problems back as part of the answer.
        clock: the time.
        most_consoles: read at once; 0 for none.
    """

    def __init__(
        self, *, console: Console, power: Power, read_servers: ReadServers, clock: Clock, most_consoles: int
    ) -> None:
        self._console, self._power, self._read_servers, self._clock = console, power, read_servers, clock
        self._most = most_consoles
        self._readers: dict[str, asyncio.Task[None]] = {}

    @override
    @asynccontextmanager
    async def watch(self, node: NodeSnapshot) -> AsyncIterator[BootObserver]:
        observer = _Observer(self, node, self._clock)
        reader: asyncio.Task[None] | None = None
        if node.commands.console and node.name not in self._readers and len(self._readers) < self._most:
            reader = asyncio.create_task(self._read(node, observer.tail), name=f"console of {node.name}")
            self._readers[node.name] = reader
        try:
            yield observer
        finally:
            if reader is not None and self._readers.get(node.name) is reader:
                await self.release_console(node.name)

    @override
    async def server_log(self, node: NodeSnapshot, *, since: float) -> ServerLog:
        return await self._read_servers(node, since - SLACK_SECONDS)

    @override
    async def release_console(self, node: str) -> None:
        reader = self._readers.pop(node, None)
        if reader is not None:
            reader.cancel()
            await asyncio.wait({reader})

    async def has_power(self, node: NodeSnapshot) -> bool | None:
        """Returns whether a machine has power; None if nobody knows."""
        try:
            async with asyncio.timeout(POWER_SECONDS):
                return await self._power.is_on(node)
        except (PowerError, TimeoutError):
            return None

    async def _read(self, node: NodeSnapshot, tail: ConsoleTail) -> None:
        while True:
            try:
                line = await self._console.attach(node)
            except ConsoleError as error:
                logger.debug("node=%s its console is not read: %s", node.name, error)
                return
            try:
                while part := await line.read():
                    tail.add(part, time=self._clock.now())
            finally:
                await line.close()
            await self._clock.sleep(AGAIN_SECONDS)


class _Observer(BootObserver):
    def __init__(self, watch: SiteBootWatch, node: NodeSnapshot, clock: Clock) -> None:
        self._watch, self._node, self._clock = watch, node, clock
        self._begun = clock.now()
        self.tail = ConsoleTail()

    @override
    def console(self) -> str:
        return self.tail.text(time=self._clock.now())

    @override
    async def explain(self, *, seen: str, wrong: bool) -> BootDiagnosis:
        log = await self._watch.server_log(self._node, since=self._begun)
        facts = BootFacts(
            mac_address=self._node.mac_address,
            since=self._begun - SLACK_SECONDS,
            records=[*log.records, *console_records(self.tail.lines(time=self._clock.now()))],
            logs_read=bool(log.sources),
            unanswered=log.unanswered,
            powered=await self._watch.has_power(self._node),
            seen=seen,
            wrong=wrong,
        )
        return diagnose(facts)
