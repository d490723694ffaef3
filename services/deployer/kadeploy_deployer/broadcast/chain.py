"""The broadcast: reads the file, serves it, and has nodes receive it along chains.

A node that is lost is bypassed by those behind it; one that comes late is appended. The protocol is in
docs/broadcast.md.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from kadeploy_deployer.broadcast.instructions import ChainSettings, what_to_receive
from kadeploy_deployer.broadcast.lineup import Lineup
from kadeploy_deployer.broadcast.manifest import Manifest, Manifests
from kadeploy_deployer.broadcast.node_session import NodeSession
from kadeploy_deployer.broadcast.source import Source
from kadeploy_deployer.broadcast.source_port import SourcePort
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.ports import BroadcastTarget, OnProgress, OpenedFile, Received, ReceiveFailed, RemoteShell


class ChainBroadcast:
    """Broadcasts along chains of nodes, each of which pulls from the one before it."""

    def __init__(
        self,
        shell: RemoteShell,
        settings: ChainSettings | None = None,
        *,
        on_end: Callable[[int, int], None] = lambda _sent, _delivered: None,
    ) -> None:
        """Serves nothing yet.

        Args:
            shell: reaches the nodes.
            settings: of the site.
            on_end: is told of each session how many bytes the deployer sent itself, and how many nodes received.
        """
        self._shell = shell
        self._on_end = on_end
        self._settings = settings or ChainSettings()
        self._manifests = Manifests()
        self._port = SourcePort(address=self._settings.source_address, port=self._settings.source_port)

    @asynccontextmanager
    async def session(
        self, file: OpenedFile, *, digest: str, user: str
    ) -> AsyncIterator["ChainSession | BrokenSession"]:
        """As in the port."""
        async with AsyncExitStack() as stack:
            session = await self._open(file, digest, user, stack)
            try:
                yield session
            finally:
                if isinstance(session, ChainSession):
                    self._on_end(session.sent_bytes, session.delivered_bytes)

    async def _open(
        self, file: OpenedFile, digest: str, user: str, stack: AsyncExitStack
    ) -> "ChainSession | BrokenSession":
        name = file.name
        try:
            manifest = await self._manifests.of(file, user=user)
        except OSError as error:
            return _broken(f"{name} cannot be read: {error.strerror}")
        if manifest.digest != digest:
            description = f"{name} has {manifest.digest} instead of the registered {digest}; nothing was sent"
            return BrokenSession(
                Failure(reason=FailureReason.DIGEST_MISMATCH, description=description, retriable=False)
            )
        token = secrets.token_hex(32)
        source = Source(file, manifest, token=token, port=self._port)
        try:
            await stack.enter_async_context(source)
        except OSError as error:
            where = f"{self._settings.source_address} port {self._settings.source_port}"
            return _broken(
                f"the deployer cannot serve {name} on {where}: {os.strerror(error.errno or 0)}; "
                "address and port stand in [broadcast] of its settings"
            )
        session = ChainSession(self._shell, self._settings, manifest, source, token)
        stack.push_async_callback(session.close)
        return session


class BrokenSession:
    """A session whose file cannot be sent: every node fails."""

    def __init__(self, failure: Failure) -> None:
        self._failure = failure

    async def receive(self, target: BroadcastTarget, *, timeout: float, on_progress: OnProgress) -> Received:
        """As in the port."""
        raise ReceiveFailed(self._failure)


class ChainSession:
    """The broadcast of one file."""

    def __init__(
        self, shell: RemoteShell, settings: ChainSettings, manifest: Manifest, source: Source, token: str
    ) -> None:
        self._shell = shell
        self._settings = settings
        self._manifest = manifest
        self._source = source
        self._token = token
        self._lineup = Lineup(settings, manifest.size)
        self._nodes: dict[str, NodeSession] = {}
        self._running: dict[NodeSession, asyncio.Task[None]] = {}
        self._timers: list[asyncio.TimerHandle] = []
        self.delivered_bytes = 0

    @property
    def sent_bytes(self) -> int:
        """What the deployer sent itself; the rest came from nodes."""
        return sum(list(self._source.served_bytes.values()))

    async def receive(self, target: BroadcastTarget, *, timeout: float, on_progress: OnProgress) -> Received:
        """As in the port."""
        # A session whose node is somebody else's would only tell its own end.
        await pass_fence()
        # A node whose connection to the deployer is lost unseen ends by itself, not long after its time.
        bound = timeout + self._settings.farewell_bound
        node = NodeSession(
            target,
            document=what_to_receive(
                target, self._manifest, token=self._token, session_bound=bound, settings=self._settings
            ),
            manifest=self._manifest,
            source_port=self._source.port,
            shell=self._shell,
            settings=self._settings,
            on_progress=on_progress,
            on_neighbour=self._hear_of,
        )
        self._nodes[node.name] = node
        self._lineup.expect(node)
        self._running[node] = asyncio.create_task(node.run(timeout=bound))
        try:
            async with asyncio.timeout(timeout):
                await node.started.wait()
                self._lineup.settle(node)
                received = await asyncio.shield(node.result)
        except TimeoutError:
            node.fail("the file was not complete in time")
            await self._end(node)
            return await node.result
        except BaseException:
            await self._end(node)
            raise
        self.delivered_bytes += received.received_bytes
        # It serves those behind it, for no longer than its program may run.
        self._timers.append(asyncio.get_running_loop().call_later(timeout, node.finish))
        return received

    async def close(self) -> None:
        """Ends what runs on the nodes."""
        self._lineup.close()
        for timer in self._timers:
            timer.cancel()
        for node in self._running:
            node.finish()
        await _ended(self._running.values(), self._settings.farewell_bound)
        self._running.clear()

    def _hear_of(self, name: str, by: str, why: str) -> None:
        node = self._nodes.get(name)
        if node is None:
            return
        if why:
            node.blame(by, why)
        else:
            node.clear()

    async def _end(self, node: NodeSession) -> None:
        """Ends one node's part."""
        self._lineup.remove(node)
        node.finish()
        if self._nodes.get(node.name) is node:
            del self._nodes[node.name]
        # None when the session has ended meanwhile.
        if (task := self._running.get(node)) is not None:
            await _ended([task], self._settings.farewell_bound)
        # Whoever is cancelled before this leaves it to the end of the session.
        self._running.pop(node, None)


async def _ended(tasks: Iterable[asyncio.Task[None]], seconds: float) -> None:
    """Waits for the ends of programs that were let go; cuts off those that do not end in time."""
    waiting = list(tasks)
    try:
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _broken(description: str) -> BrokenSession:
    return BrokenSession(Failure(reason=FailureReason.TRANSFER_FAILED, description=description))
