"""A Boot that outlasts a bootctl that is away for a moment: restarted, updated, cut off. What it refuses is final."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from typing_extensions import override

from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.ports import Boot, BootTarget, BootUnreachable, Clock

_Answer = TypeVar("_Answer")

PATIENCE = 60.0
"""For how many seconds a call is made again while nobody answers."""
PAUSE = 2.0

logger = logging.getLogger(__name__)


class RetryingBoot(Boot):
    """Implements `ports.Boot` by another one. Every call of the port may be made twice, so it may be made again."""

    def __init__(self, boot: Boot, clock: Clock, *, patience: float = PATIENCE) -> None:
        self._boot = boot
        self._clock = clock
        self._patience = patience

    @override
    async def set_entries(
        self, targets: Mapping[str, BootTarget], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, str]:
        return await self._retry(lambda: self._boot.set_entries(targets, nodes, owner=owner))

    @override
    async def render_entries(
        self, targets: Mapping[str, BootTarget], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, Sequence[tuple[str, str]]]:
        """At once: somebody waits for the answer, and can ask again."""
        return await self._boot.render_entries(targets, nodes, owner=owner)

    @override
    async def upload(self, path: Path, *, digest: str, description: str) -> None:
        await self._retry(lambda: self._boot.upload(path, digest=digest, description=description))

    async def _retry(self, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
        deadline = self._clock.monotonic() + self._patience
        while True:
            try:
                return await call()
            except BootUnreachable as problem:
                if self._clock.monotonic() >= deadline:
                    raise
                logger.warning("%s; trying again", problem)
            await self._clock.sleep(PAUSE)
