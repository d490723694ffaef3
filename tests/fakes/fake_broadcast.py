"""A broadcast that arrives everywhere at once, but where the test says otherwise."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.ports import BroadcastTarget, Received


class FakeBroadcast:
    """Gives every target the digest that it asked for; `failures` by node are given instead.

    `sent`: what each session was opened for, and the targets that joined it. Also stands for its sessions.
    """

    def __init__(self) -> None:
        self.failures: dict[str, Failure] = {}
        self.sent: list[tuple[Path, str, list[BroadcastTarget]]] = []

    @asynccontextmanager
    async def session(self, path: Path, *, digest: str) -> AsyncIterator[Self]:
        """As in the port."""
        self.sent.append((path, digest, []))
        yield self

    async def receive(
        self, target: BroadcastTarget, *, timeout: float, on_progress: Callable[[int, int], None]
    ) -> Received:
        """As in the port."""
        path, digest, targets = self.sent[-1]
        targets.append(target)
        size = _size(path)
        failure = self.failures.get(target.host.name)
        done = 0 if failure else size
        on_progress(done, size)
        return Received(outcome=failure, digest="" if failure else digest, received_bytes=done)


def _size(path: Path) -> int:
    return path.stat().st_size
