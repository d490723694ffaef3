"""The lifecycle: two tables (state, event → state), and nothing else decides what may follow what.

Pure and printable: `docs/lifecycle.md` holds the diagrams that `mermaid()` prints, and the tests walk the tables.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from kadeploy_deployer.domain.errors import IllegalTransition
from kadeploy_deployer.domain.states import (
    DeploymentState,
    FailureReason,
    NodeState,
    OperationNodeState,
    PartitionState,
)


class DeploymentTrigger(StrEnum):
    """What can happen to a deployment."""

    NODES_LOCKED = "nodes_locked"
    """It got its nodes."""
    GAVE_UP = "gave_up"
    """Its nodes did not become free in time."""
    ALL_DEPLOYED = "all_deployed"
    """Every node of it was seen running the new system."""
    SOME_FAILED = "some_failed"
    """It is over, and at least one node failed."""
    CANCELLED = "cancelled"
    """Its owner or an administrator stopped it."""
    LOST = "lost"
    """No deployer could bring it to an end."""


class PartitionTrigger(StrEnum):
    """What can happen to a node: to its target partition in a deployment, or to the node itself in an operation."""

    WAIT = "wait"
    """A step began that leaves the partition alone."""
    WRITE = "write"
    """A step began that writes the partition."""
    REBOOT = "reboot"
    """A step began that brings the node into the new system."""
    SEEN = "seen"
    """The node was seen running the new system."""
    WORK = "work"
    """A step of an operation began."""
    DONE = "done"
    """The last step of an operation is done."""
    FAIL = "fail"
    """The node failed a step."""
    CANCEL = "cancel"
    """The deployment or operation was cancelled."""
    LOSE = "lose"
    """The deployment or operation was lost."""


DEPLOYMENT: Mapping[tuple[DeploymentState, DeploymentTrigger], DeploymentState] = {
    # It waits for its nodes.
    (DeploymentState.WAITING, DeploymentTrigger.NODES_LOCKED): DeploymentState.DEPLOYING,
    (DeploymentState.WAITING, DeploymentTrigger.GAVE_UP): DeploymentState.ERROR,
    (DeploymentState.WAITING, DeploymentTrigger.CANCELLED): DeploymentState.ERROR,
    (DeploymentState.WAITING, DeploymentTrigger.LOST): DeploymentState.ERROR,
    # It works on them.
    (DeploymentState.DEPLOYING, DeploymentTrigger.ALL_DEPLOYED): DeploymentState.TERMINATED,
    (DeploymentState.DEPLOYING, DeploymentTrigger.SOME_FAILED): DeploymentState.ERROR,
    (DeploymentState.DEPLOYING, DeploymentTrigger.CANCELLED): DeploymentState.ERROR,
    (DeploymentState.DEPLOYING, DeploymentTrigger.LOST): DeploymentState.ERROR,
}

PARTITION: Mapping[tuple[PartitionState, PartitionTrigger], PartitionState] = {
    # Untouched.
    (PartitionState.TO_DEPLOY, PartitionTrigger.WAIT): PartitionState.TO_DEPLOY,
    (PartitionState.TO_DEPLOY, PartitionTrigger.WRITE): PartitionState.DEPLOYING,
    (PartitionState.TO_DEPLOY, PartitionTrigger.FAIL): PartitionState.ERROR,
    (PartitionState.TO_DEPLOY, PartitionTrigger.CANCEL): PartitionState.ERROR,
    (PartitionState.TO_DEPLOY, PartitionTrigger.LOSE): PartitionState.ERROR,
    # Being written.
    (PartitionState.DEPLOYING, PartitionTrigger.WRITE): PartitionState.DEPLOYING,
    (PartitionState.DEPLOYING, PartitionTrigger.REBOOT): PartitionState.REBOOTING,
    (PartitionState.DEPLOYING, PartitionTrigger.FAIL): PartitionState.ERROR,
    (PartitionState.DEPLOYING, PartitionTrigger.CANCEL): PartitionState.ERROR,
    (PartitionState.DEPLOYING, PartitionTrigger.LOSE): PartitionState.ERROR,
    # On the way into the new system.
    (PartitionState.REBOOTING, PartitionTrigger.REBOOT): PartitionState.REBOOTING,
    (PartitionState.REBOOTING, PartitionTrigger.SEEN): PartitionState.DEPLOYED,
    (PartitionState.REBOOTING, PartitionTrigger.FAIL): PartitionState.ERROR,
    (PartitionState.REBOOTING, PartitionTrigger.CANCEL): PartitionState.ERROR,
    (PartitionState.REBOOTING, PartitionTrigger.LOSE): PartitionState.ERROR,
}

OPERATION_NODE: Mapping[tuple[OperationNodeState, PartitionTrigger], OperationNodeState] = {
    # Untouched.
    (OperationNodeState.TO_DO, PartitionTrigger.WORK): OperationNodeState.DOING,
    (OperationNodeState.TO_DO, PartitionTrigger.FAIL): OperationNodeState.ERROR,
    (OperationNodeState.TO_DO, PartitionTrigger.CANCEL): OperationNodeState.ERROR,
    (OperationNodeState.TO_DO, PartitionTrigger.LOSE): OperationNodeState.ERROR,
    # Being worked on.
    (OperationNodeState.DOING, PartitionTrigger.WORK): OperationNodeState.DOING,
    (OperationNodeState.DOING, PartitionTrigger.DONE): OperationNodeState.DONE,
    (OperationNodeState.DOING, PartitionTrigger.FAIL): OperationNodeState.ERROR,
    (OperationNodeState.DOING, PartitionTrigger.CANCEL): OperationNodeState.ERROR,
    (OperationNodeState.DOING, PartitionTrigger.LOSE): OperationNodeState.ERROR,
}

LAST: Mapping[NodeState, PartitionTrigger] = {
    PartitionState.REBOOTING: PartitionTrigger.SEEN,
    OperationNodeState.DOING: PartitionTrigger.DONE,
}
"""The trigger of the end of a plan's last step, by the state that the node is in; elsewhere SEEN, which is illegal."""

ENTERS: Mapping[NodeState, PartitionTrigger] = {
    OperationNodeState.DOING: PartitionTrigger.WORK,
    PartitionState.TO_DEPLOY: PartitionTrigger.WAIT,
    PartitionState.DEPLOYING: PartitionTrigger.WRITE,
    PartitionState.REBOOTING: PartitionTrigger.REBOOT,
}
"""The trigger that a step pulls when it begins, by the state that it puts its partitions in."""

UNFINISHED: frozenset[DeploymentState] = frozenset(state for state, _ in DEPLOYMENT)
"""The states in which a deployment can still change."""

FINISHED: frozenset[DeploymentState] = frozenset(DeploymentState) - UNFINISHED
"""The states in which a deployment never changes again."""

_State = TypeVar("_State", bound=StrEnum)
_Trigger = TypeVar("_Trigger", bound=StrEnum)


def _advance(table: Mapping[tuple[_State, _Trigger], _State], state: _State, trigger: _Trigger) -> _State:
    try:
        return table[state, trigger]
    except KeyError:
        raise IllegalTransition(state, trigger) from None


def advance_deployment(state: DeploymentState, trigger: DeploymentTrigger) -> DeploymentState:
    """Returns the state of a deployment after the trigger, or raises IllegalTransition."""
    return _advance(DEPLOYMENT, state, trigger)


def advance_partition(state: PartitionState, trigger: PartitionTrigger) -> PartitionState:
    """Returns the state of a partition after the trigger, or raises IllegalTransition."""
    return _advance(PARTITION, state, trigger)


def advance_node(state: NodeState, trigger: PartitionTrigger) -> NodeState:
    """Returns the state of a node after the trigger, by the table of what is done to it. Raises IllegalTransition."""
    if isinstance(state, OperationNodeState):
        return _advance(OPERATION_NODE, state, trigger)
    return advance_partition(state, trigger)


def given_up(state: DeploymentState, reason: FailureReason) -> DeploymentTrigger:
    """Returns the trigger that ends a deployment which nobody brings to its end."""
    if state is DeploymentState.WAITING or reason is FailureReason.LEASE_LOST:
        return DeploymentTrigger.LOST
    return DeploymentTrigger.SOME_FAILED


def mermaid(table: Mapping[tuple[_State, _Trigger], _State]) -> str:
    """Returns a table as a Mermaid state diagram, one edge a line, in the order of the table."""
    sources = {state for state, _ in table}
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(table))[0]}"]
    lines += [f"    {state} --> {target}: {trigger}" for (state, trigger), target in table.items()]
    ends = dict.fromkeys(target for target in table.values() if target not in sources)
    return "\n".join([*lines, *(f"    {state} --> [*]" for state in ends)])
