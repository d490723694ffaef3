"""An inventory with fixed content, or one that does not answer."""

from kadeploy_deployer.app.ports import Resolution
from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_rpckit.errors import DomainError


class FakeInventory:
    """Answers every request with the same resolution; `error`, when set, is raised instead."""

    def __init__(self, resolution: Resolution) -> None:
        self.resolution = resolution
        self.error: DomainError | None = None
        self.asked: list[tuple[DeploymentSpec, str]] = []

    async def resolve(self, spec: DeploymentSpec, *, user: str) -> Resolution:
        """As in the port."""
        self.asked.append((spec, user))
        if self.error is not None:
            raise self.error
        return self.resolution
