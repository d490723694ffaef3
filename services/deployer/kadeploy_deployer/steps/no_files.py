"""Stands for the files of a deployment where nothing is sent: in plans, and for reboots outside of a deployment."""

from typing import NoReturn

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import BroadcastTarget, ImageError, OnProgress, ReceiveFailed


class NoFiles:
    """Implements `ports.BroadcastSession` and `steps.step.ArchiveReader`; sends and reads nothing."""

    async def receive(self, target: BroadcastTarget, *, timeout: float, on_progress: OnProgress) -> NoReturn:
        """Refuses."""
        text = f"nothing is sent to {target.host.name} outside of a deployment"
        raise ReceiveFailed(Failure(reason=FailureReason.INTERNAL, description=text))

    def read(self, file: FileSnapshot, *, user: str) -> NoReturn:
        """Refuses."""
        raise ImageError(f"{file.uri} is not read outside of a deployment")
