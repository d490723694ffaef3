"""Who is told, after it is durable, what is begun and ended: the log, the metrics."""

from collections.abc import Sequence
from typing import Protocol

from kadeploy_deployer.domain.lease_record import LeaseRecord
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger
from kadeploy_deployer.domain.operation import AnyOperation, Operation
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
        """This process does not drive it any more: it stops."""

    def lost(self, operation_id: str) -> None:
        """This process lost its lease."""

    def seen(self, leases: Sequence[LeaseRecord]) -> None:
        """These are all leases now, of all deployers."""


def kind_of(operation: AnyOperation) -> str:
    """Returns what is done: "deployment", "reboot", "power", "command"."""
    return operation.spec.kind.value if isinstance(operation, Operation) else "deployment"
