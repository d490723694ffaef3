"""The broadcast: a session serves one file; whatever is ready within a short moment starts as one chain.

A node that comes later gets the next chain, from the same source. A node that is not there when its chain starts is not
in it; one that is lost later is bypassed by those behind it. The protocol between the nodes is in docs/broadcast.md.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from kadeploy_deployer.broadcast.instructions import ChainSettings, Place, what_to_receive, whom_to_ask
from kadeploy_deployer.broadcast.manifest import Manifest, Manifests
from kadeploy_deployer.broadcast.node_session import NodeSession
from kadeploy_deployer.broadcast.source import Source
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.ports import (
    BroadcastError,
    BroadcastFileChanged,
    BroadcastTarget,
    Received,
    RemoteShell,
)

JOIN_SECONDS = 0.5
"""How long a chain waits for more nodes before it starts."""
START_SECONDS = 3.0
"""How long a chain waits for the programs of its nodes; who starts later is served by the deployer alone."""


class ChainBroadcast:
    """Broadcasts along chains of nodes, each of which pulls from the one before it."""

    def __init__(self, shell: RemoteShell, settings: ChainSettings | None = None) -> None:
        self._shell = shell
        self._settings = settings or ChainSettings()
        self._manifests = Manifests()

    @asynccontextmanager
    async def session(self, path: Path, *, digest: str) -> AsyncIterator["ChainSession"]:
        """As in the port."""
        try:
            manifest = await self._manifests.of(path)
        except OSError as error:
            raise BroadcastError(f"{path} cannot be read: {error.strerror}") from error
        if manifest.digest != digest:
            text = f"{path} has {manifest.digest} instead of the registered {digest}; nothing was sent"
            raise BroadcastFileChanged(text)
        token = secrets.token_hex(32)
        address, port = self._settings.source_address, self._settings.source_port
        source = Source(path, manifest, token=token, address=address, port=port)
        try:
            await source.__aenter__()
        except OSError as error:
            text = f"the deployer cannot serve {path} on {address} port {port}: {error.strerror}"
            raise BroadcastError(text) from error
        session = ChainSession(
            _Transfer(manifest=manifest, source_port=source.port, token=token),
            shell=self._shell,
            settings=self._settings,
        )
        try:
            yield session
        finally:
            try:
                await session.close()
            finally:
                await source.__aexit__(None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Transfer:
    """What all nodes of a session receive, and from where."""

    manifest: Manifest
    source_port: int
    token: str


class ChainSession:
    """Implements `ports.BroadcastSession`."""

    def __init__(self, transfer: _Transfer, *, shell: RemoteShell, settings: ChainSettings) -> None:
        self._transfer = transfer
        self._shell = shell
        self._settings = settings
        self._joining: list[NodeSession] = []
        self._chains: set[asyncio.Task[None]] = set()
        self._tasks: dict[NodeSession, asyncio.Task[None]] = {}

    async def receive(
        self, target: BroadcastTarget, *, timeout: float, on_progress: Callable[[int, int], None]
    ) -> Received:
        """As in the port."""
        # Reading a large image takes minutes, and a session whose node is somebody else's would only tell its own end.
        await pass_fence()
        # A node whose connection to the deployer is lost unseen ends by itself, not long after its time is over.
        bound = timeout + self._settings.farewell_bound
        transfer = self._transfer
        document = what_to_receive(
            target, transfer.manifest, token=transfer.token, session_bound=bound, settings=self._settings
        )
        node = NodeSession(
            target,
            document=document,
            digest=transfer.manifest.digest,
            source_port=transfer.source_port,
            shell=self._shell,
            settings=self._settings,
            on_progress=on_progress,
        )
        self._tasks[node] = asyncio.create_task(node.run(timeout=bound))
        if not self._joining:
            chain = asyncio.create_task(self._start_chain())
            self._chains.add(chain)
            chain.add_done_callback(self._chains.discard)
        self._joining.append(node)
        try:
            async with asyncio.timeout(timeout):
                await node.done.wait()
        except TimeoutError:
            node.fail("the file was not complete in time")
            node.finish()
        except asyncio.CancelledError:
            node.fail("the copy was broken off")
            node.finish()
            raise
        return node.result()

    async def close(self) -> None:
        """Lets the programs on all nodes end."""
        for chain in self._chains:
            chain.cancel()
        for node in self._tasks:
            node.finish()
        tasks = set(self._tasks.values())
        if not tasks:
            return
        try:
            await asyncio.wait(tasks, timeout=self._settings.farewell_bound)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_chain(self) -> None:
        """Starts the nodes that came together as one chain; neighbours in it are neighbours on the network."""
        await asyncio.sleep(JOIN_SECONDS)
        nodes = sorted(self._joining, key=lambda node: ip_address(node.address))
        self._joining = []
        starting = [asyncio.create_task(node.started.wait()) for node in nodes]
        try:
            await asyncio.wait(starting, timeout=START_SECONDS)
            before: list[Place] = []
            for node in nodes:
                if self._begin(node, before) and node.ready is not None:
                    before.append(node.ready)
            await asyncio.gather(*(self._begin_late(node) for node in nodes))
        finally:
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)

    async def _begin_late(self, node: NodeSession) -> None:
        await node.started.wait()
        self._begin(node, [])

    def _begin(self, node: NodeSession, before: list[Place]) -> bool:
        """Tells a node whom to ask, if it is there and was not told yet."""
        if node.ready is None or node.source is None or node.received is not None:
            return False
        return node.begin(whom_to_ask(before, node.source, predecessors=self._settings.predecessors))
