"""What can go wrong when something is done to nodes outside of a deployment: of the call, or of one node in it."""

from collections.abc import Sequence

from kadeploy_deployer.domain.holder import in_words
from kadeploy_edge.errors import (
    Conflict,
    Denied,
    DomainError,
    Exhausted,
    FieldViolation,
    Invalid,
    Missing,
    NotInState,
    Unreachable,
)
from kadeploy_nodeset import fold


class InvalidControl(Invalid):
    """The request can never be carried out as it is."""

    reason = "INVALID_CONTROL"

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field} {description}", violations=(FieldViolation(field=field, description=description),))


class NodeBusy(NotInState):
    """A deployment or another operation has the node."""

    reason = "NODE_BUSY"

    def __init__(self, node: str, holder: str) -> None:
        super().__init__(f"{node} is held by {in_words(holder)}", metadata={"node": node, "held_by": holder})


class NodeNotFound(Missing):
    """The inventory does not know the node."""

    reason = "NODE_NOT_FOUND"

    def __init__(self, node: str) -> None:
        super().__init__(f"{node} is not registered", metadata={"node": node})


class NothingDeployedThere(NotInState):
    """No deployment left there what the request names."""

    reason = "NOTHING_DEPLOYED_THERE"

    def __init__(self, node: str, what: str) -> None:
        super().__init__(f"nothing is deployed on {node} that is {what}", metadata={"node": node})


class PowerShared(NotInState):
    """Other nodes would lose their power with these, because they share a supply."""

    reason = "POWER_SHARED"

    def __init__(self, node: str, others: Sequence[str]) -> None:
        named = fold(others)
        super().__init__(
            f"{named} would lose {'its' if len(others) == 1 else 'their'} power, too, on the supply of {node}",
            metadata={"node": node, "others": named},
        )


class PowerFailed(Unreachable):
    """The power of a node could not be reached."""

    reason = "POWER_FAILED"


class BootFilesFailed(Unreachable):
    """What a node boots next could not be written."""

    reason = "BOOT_FILES_FAILED"


class NodeUnreachable(Unreachable):
    """Nobody could log in on the node, or the session broke."""

    reason = "NODE_UNREACHABLE"


class NotThereAfterReboot(Unreachable):
    """The node did not come back as it should after its reboot."""

    reason = "NOT_THERE_AFTER_REBOOT"


class WrongSystemBooted(Unreachable):
    """The node came back from its reboot with something else than what it should run."""

    reason = "WRONG_SYSTEM_BOOTED"

    def __init__(self, node: str, description: str) -> None:
        super().__init__(f"{node} did not boot what it should: {description}", metadata={"node": node})


class RunsOutOfTime(Exhausted):
    """A command did not end within its timeout."""

    reason = "COMMAND_TIMED_OUT"


class ConsoleNotConfigured(NotInState):
    """The site has no way to the console of the node, or it does not work."""

    reason = "CONSOLE_NOT_CONFIGURED"


class ConsoleInUse(NotInState):
    """Somebody else has the console."""

    reason = "CONSOLE_IN_USE"

    def __init__(self, node: str, owner: str) -> None:
        super().__init__(f"the console of {node} is in use by {owner}", metadata={"node": node, "user": owner})


class OperationLost(Conflict):
    """The locks could not be renewed in time, so others may have taken the nodes: the operation stopped."""

    reason = "LEASE_LOST"

    def __init__(self, operation_id: str) -> None:
        super().__init__(f"operation {operation_id} lost its nodes and stopped", metadata={"id": operation_id})


class OperationNotFound(Missing):
    """There is no such operation."""

    reason = "OPERATION_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"no operation {name} is known", metadata={"id": name})


class OperationFinished(NotInState):
    """The operation has ended, and never changes again."""

    reason = "OPERATION_FINISHED"

    def __init__(self, operation_id: str) -> None:
        super().__init__(f"operation {operation_id} has ended already", metadata={"id": operation_id})


class OperationNotOwned(Denied):
    """Only the owner of an operation and administrators may stop it."""

    reason = "NOT_OWNER"

    def __init__(self, operation_id: str, owner: str) -> None:
        super().__init__(
            f"operation {operation_id} belongs to {owner}; only {owner} or an administrator may stop it",
            metadata={"id": operation_id, "owner": owner},
        )


class OperationStopped(Conflict):
    """The operation was stopped before this node had its result."""

    reason = "OPERATION_STOPPED"

    def __init__(self, node: str, *, begun: bool) -> None:
        what = "was begun, and nobody looked what became of it" if begun else "was left alone"
        super().__init__(f"{node} {what}: the operation was stopped", metadata={"node": node})


class OutcomeUnknown(Unreachable):
    """The deployer died when it was at work on the node."""

    reason = "OUTCOME_UNKNOWN"

    def __init__(self, node: str) -> None:
        super().__init__(
            f"{node} was under way when the deployer died or stopped, and nobody knows what became of it",
            metadata={"node": node},
        )


class OperationGoesOn(Unreachable):
    """This deployer stops; the operation goes on when its caller asks again."""

    reason = "GOING_AWAY"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"this deployer stops; ask again as {request_id} for the rest", metadata={"request_id": request_id}
        )


class OperationEnds(Unreachable):
    """This deployer stops, and with it an operation that nobody can ask for again."""

    reason = "GOING_AWAY"

    def __init__(self, operation_id: str) -> None:
        what = f"operation {operation_id} stops with it" if operation_id else "nothing was begun"
        super().__init__(f"this deployer stops, and {what}", metadata={"id": operation_id})


class Unforeseen(DomainError):
    """A fault of ours on one node; the log tells more."""

    reason = "INTERNAL"
