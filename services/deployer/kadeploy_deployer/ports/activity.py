"""Who is told, after it is durable, what is begun and ended: the log, the metrics."""

from typing import Protocol

from kadeploy_deployer.domain.lifecycle import DeploymentTrigger
from kadeploy_deployer.domain.operation import AnyOperation
from kadeploy_deployer.domain.transition import Transition


class ActivityObserver(Protocol):
    """Is told of the deployments and operations that this process drives."""

    def began(self, operation: AnyOperation) -> None:
        """It was made, got its nodes, or was taken over from another deployer."""

    def moved(self, operation_id: str, transition: Transition) -> None:
        """A node has gone from one position to the next."""

    def ended(self, operation_id: str, trigger: DeploymentTrigger, description: str, *, now: float) -> None:
        """It is finished. `now`: by the clock that all deployers share."""

    def left(self, operation_id: str) -> None:
        """This process does not drive it any more."""
