"""The broadcast: starts the chain, waits for every node, says what became of each.

A node that is not there when the chain starts is not in it; one that is lost later is bypassed by those behind it.
The protocol between the nodes is in docs/broadcast.md.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence

from kadeploy_deployer.broadcast.instructions import ChainSettings, Place, what_to_receive, whom_to_ask
from kadeploy_deployer.broadcast.manifest import Manifest, Manifests
from kadeploy_deployer.broadcast.node_session import NodeSession
from kadeploy_deployer.broadcast.source import Source
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.ports import BroadcastTarget, OpenedFile, Received, RemoteShell


class ChainBroadcast:
    """Broadcasts along a chain of nodes, each of which pulls from the one before it."""

    def __init__(self, shell: RemoteShell, settings: ChainSettings | None = None) -> None:
        self._shell = shell
        self._settings = settings or ChainSettings()
        self._manifests = Manifests()

    async def send(
        self,
        file: OpenedFile,
        *,
        digest: str,
        user: str,
        targets: Sequence[BroadcastTarget],
        timeout: float,
        on_progress: Callable[[str, int, int], None],
    ) -> Mapping[str, Received]:
        """As in the port."""
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                manifest = await self._manifests.of(file, user=user)
        except TimeoutError:
            return _all_failed(
                targets, FailureReason.TRANSFER_FAILED, f"reading {file.name} took more than {timeout:g} s"
            )
        except OSError as error:
            return _all_failed(targets, FailureReason.TRANSFER_FAILED, f"{file.name} cannot be read: {error.strerror}")
        if manifest.digest != digest:
            description = f"{file.name} has {manifest.digest} instead of the registered {digest}; nothing was sent"
            return _all_failed(targets, FailureReason.DIGEST_MISMATCH, description)
        # Reading a large image takes minutes, and a session whose node is somebody else's would only tell its own end.
        await pass_fence()
        token = secrets.token_hex(32)
        place = self._settings.source_address, self._settings.source_port
        source = Source(file, manifest, token=token, address=place[0], port=place[1])
        try:
            async with source:
                sessions = self._sessions(
                    targets,
                    manifest=manifest,
                    source=source,
                    token=token,
                    timeout=timeout,
                    on_progress=on_progress,
                )
                await self._live(sessions, deadline)
        except OSError as error:
            description = f"the deployer cannot serve {file.name} on {place[0]} port {place[1]}: {error.strerror}"
            return _all_failed(targets, FailureReason.TRANSFER_FAILED, description)
        return {session.name: session.received for session in sessions if session.received is not None}

    def _sessions(
        self,
        targets: Sequence[BroadcastTarget],
        *,
        manifest: Manifest,
        source: Source,
        token: str,
        timeout: float,
        on_progress: Callable[[str, int, int], None],
    ) -> list[NodeSession]:
        # A node whose connection to the deployer is lost unseen ends by itself, not long after all others.
        bound = timeout + self._settings.farewell_bound
        return [
            NodeSession(
                target,
                document=what_to_receive(target, manifest, token=token, session_bound=bound, settings=self._settings),
                digest=manifest.digest,
                source_port=source.port,
                shell=self._shell,
                settings=self._settings,
                on_progress=on_progress,
            )
            for target in targets
        ]

    async def _live(self, sessions: Sequence[NodeSession], deadline: float) -> None:
        """Lives all sessions to their ends; afterwards each has its `received`."""
        loop = asyncio.get_running_loop()
        bound = deadline - loop.time() + self._settings.farewell_bound
        tasks = [asyncio.create_task(session.run(timeout=bound)) for session in sessions]
        try:
            try:
                async with asyncio.timeout_at(deadline):
                    for session in sessions:
                        await session.started.wait()
                    self._begin(sessions)
                    for session in sessions:
                        await session.done.wait()
            except TimeoutError:
                for session in sessions:
                    session.fail("the file was not complete in time")
            for session in sessions:
                session.finish()
            if tasks:
                await asyncio.wait(tasks, timeout=self._settings.farewell_bound)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, sessions: Sequence[NodeSession]) -> None:
        before: list[Place] = []
        for session in sessions:
            if session.ready is None or session.source is None or session.received is not None:
                continue
            session.begin(whom_to_ask(before, session.source, predecessors=self._settings.predecessors))
            before.append(session.ready)


def _all_failed(targets: Sequence[BroadcastTarget], reason: FailureReason, description: str) -> Mapping[str, Received]:
    failure = Failure(reason=reason, description=description, retriable=reason is not FailureReason.DIGEST_MISMATCH)
    return {target.host.name: Received(outcome=failure, digest="", received_bytes=0) for target in targets}
