"""Stands for the files of a deployment where nothing is sent: in plans, and for reboots outside of a deployment."""

from collections.abc import Callable
from typing import NoReturn

from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.ports import BroadcastError, BroadcastTarget, ImageError


class NoFiles:
    """Implements `ports.BroadcastSession` and `steps.step.ArchiveReader`; sends and reads nothing."""

    async def receive(
        self, target: BroadcastTarget, *, timeout: float, on_progress: Callable[[int, int], None]
    ) -> NoReturn:
        """Refuses."""
        raise BroadcastError(f"nothing is sent to {target.host.name} outside of a deployment")

    async def read(self, file: FileSnapshot) -> NoReturn:
        """Refuses."""
        raise ImageError(f"{file.uri} is not read outside of a deployment")
