"""A broadcast that arrives everywhere at once, but where the test says otherwise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import BroadcastTarget, OnProgress, OpenedFile, Received, ReceiveFailed


class FakeBroadcast:
    """Tells every target the digest it asked for; `failures` by node are given instead.

    `sent`: the file, its digest, and the targets of each session. `slow`: nodes that are done after the others;
    `endless`: nodes that never are.
    """

    def __init__(self) -> None:
        self.failures: dict[str, Failure] = {}
        self.slow: set[str] = set()
        self.endless: set[str] = set()
        self.sent: list[tuple[str, str, list[BroadcastTarget]]] = []

    @asynccontextmanager
    async def session(self, file: OpenedFile, *, digest: str, user: str) -> AsyncIterator["FakeSession"]:
        """As in the port."""
        targets: list[BroadcastTarget] = []
        self.sent.append((file.name, digest, targets))
        try:
            size = file.size()
            file.read_at(0, 1)
        except OSError as error:
            size, description = 0, f"{file.name} cannot be read: {error.strerror}"
            yield FakeSession(self, targets, size, digest, Failure(reason=_FAILED, description=description))
            return
        yield FakeSession(self, targets, size, digest, None)


class FakeSession:
    """A session of FakeBroadcast. `broken`: the failure of every node."""

    def __init__(
        self, owner: FakeBroadcast, targets: list[BroadcastTarget], size: int, digest: str, broken: Failure | None
    ) -> None:
        self._owner = owner
        self._targets = targets
        self._size = size
        self._digest = digest
        self._broken = broken

    async def receive(self, target: BroadcastTarget, *, timeout: float, on_progress: OnProgress) -> Received:
        """As in the port."""
        self._targets.append(target)
        failure = self._broken or self._owner.failures.get(target.host.name)
        if target.host.name in self._owner.endless:
            await asyncio.sleep(timeout)
            failure = Failure(reason=_FAILED, description="the file was not complete in time")
        if target.host.name in self._owner.slow:
            await asyncio.sleep(0.05)
        if failure is not None:
            on_progress(0, self._size)
            raise ReceiveFailed(failure)
        on_progress(self._size, self._size)
        return Received(digest=self._digest, received_bytes=self._size, seconds=0.1)


_FAILED = FailureReason.TRANSFER_FAILED
