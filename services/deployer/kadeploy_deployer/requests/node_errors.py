"""What became of one node of an operation, as the error that its answer carries."""

from collections.abc import Mapping
from functools import cache

from kadeploy_deployer.domain.control_errors import (
    BootFilesFailed,
    NodeBusy,
    NodeNotFound,
    NodeUnreachable,
    NothingDeployedThere,
    NotThereAfterReboot,
    OperationLost,
    OperationStopped,
    OutcomeUnknown,
    PowerFailed,
    RunsOutOfTime,
    Unforeseen,
    WrongSystemBooted,
)
from kadeploy_deployer.domain.errors import RightMissing
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_edge.errors import KINDS, DomainError, Unreachable


class InventoryUnreachable(Unreachable):
    """The inventory did not say whether the caller still has the right on the node."""

    reason = "INVENTORY_UNREACHABLE"


_ERRORS: Mapping[FailureReason, type[DomainError]] = {
    FailureReason.BUSY: NodeBusy,
    FailureReason.UNKNOWN_NODE: NodeNotFound,
    FailureReason.NO_RIGHT: RightMissing,
    FailureReason.NOTHING_DEPLOYED_THERE: NothingDeployedThere,
    FailureReason.BOOT_FILES_FAILED: BootFilesFailed,
    FailureReason.NOT_THERE_AFTER_REBOOT: NotThereAfterReboot,
    FailureReason.WRONG_SYSTEM_BOOTED: WrongSystemBooted,
    FailureReason.POWER_FAILED: PowerFailed,
    FailureReason.NODE_UNREACHABLE: NodeUnreachable,
    FailureReason.COMMAND_TIMED_OUT: RunsOutOfTime,
    FailureReason.OUTCOME_UNKNOWN: OutcomeUnknown,
    FailureReason.INVENTORY_UNREACHABLE: InventoryUnreachable,
    FailureReason.CANCELLED: OperationStopped,
    FailureReason.LEASE_LOST: OperationLost,
}


def error_of(node: str, reason: FailureReason | None, description: str) -> DomainError | None:
    """Returns the error of a node; None when it went well."""
    if reason is None:
        return None
    return _error_class(reason)(description, metadata={"node": node})


@cache
def _error_class(reason: FailureReason) -> type[DomainError]:
    """Returns an error of the same kind and reason whose message is given and not made."""
    error = _ERRORS.get(reason, Unforeseen)
    kind = next((one for one in KINDS if issubclass(error, one)), DomainError)
    # Of no module: whoever looks for the errors that a module has finds the named one alone.
    return type(error.__name__, (kind,), {"reason": error.reason, "__module__": "", "__doc__": error.__doc__})
