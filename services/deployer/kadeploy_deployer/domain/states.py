"""The words of the specification: states, reasons, policies. Values are the words themselves."""

from enum import StrEnum
from typing import Final


class DeploymentState(StrEnum):
    """The states of a deployment."""

    WAITING = "waiting"
    """It waits for its nodes; at most one deployment is in this state."""
    DEPLOYING = "deploying"
    """Its nodes are locked and being deployed."""
    TERMINATED = "terminated"
    """Every node was deployed."""
    ERROR = "error"
    """At least one node failed, or it was cancelled, or lost."""


class PartitionState(StrEnum):
    """The states of a node's target partition."""

    TO_DEPLOY = "to_deploy"
    """Chosen as a target; nothing was done to it yet."""
    DEPLOYING = "deploying"
    """It is being written."""
    REBOOTING = "rebooting"
    """Written; its node is on the way into the new system."""
    DEPLOYED = "deployed"
    """The node was seen running the new system from it."""
    ERROR = "error"
    """Something failed; the description says what and when."""


class OperationNodeState(StrEnum):
    """The states of a node in an operation outside of a deployment: a reboot, a power change, a command."""

    TO_DO = "to_do"
    """Nothing was done to it yet."""
    DOING = "doing"
    """It is being worked on."""
    DONE = "done"
    """What was asked for is done."""
    ERROR = "error"
    """Something failed; the description says what."""


NodeState = PartitionState | OperationNodeState
"""The state of a node in whatever is done to it."""

SUCCEEDED: Final[frozenset[NodeState]] = frozenset({PartitionState.DEPLOYED, OperationNodeState.DONE})
"""The states of a node to which all was done that was to be."""

FAILED: Final[frozenset[NodeState]] = frozenset({PartitionState.ERROR, OperationNodeState.ERROR})
"""The states of a node that failed."""


class OperationKind(StrEnum):
    """What is done to nodes."""

    DEPLOYMENT = "deployment"
    REBOOT = "reboot"
    POWER = "power"
    COMMAND = "command"


DECLARATION: Final = "declaration"
"""The kind of a row that says what partitions hold: nothing is done to nodes for it."""


class PowerAction(StrEnum):
    """What can be done to the power of a node."""

    ON = "on"
    OFF = "off"
    CYCLE = "cycle"


class FailureReason(StrEnum):
    """Why a node failed or was left out. Free text always stands beside it."""

    BUSY = "busy"
    NO_RIGHT = "no_right"
    UNKNOWN_NODE = "unknown_node"
    UNKNOWN_PARTITION = "unknown_partition"
    PARTITION_TOO_SMALL = "partition_too_small"
    NOT_THERE_ON_FIRST_CHECK = "not_there_on_first_check"
    PREINSTALL_FAILED = "preinstall_failed"
    PARTITIONING_FAILED = "partitioning_failed"
    FORMAT_FAILED = "format_failed"
    MOUNT_FAILED = "mount_failed"
    TRANSFER_FAILED = "transfer_failed"
    DIGEST_MISMATCH = "digest_mismatch"
    POSTINSTALL_FAILED = "postinstall_failed"
    BOOT_FILES_FAILED = "boot_files_failed"
    WRONG_SYSTEM_BOOTED = "wrong_system_booted"
    NOT_THERE_ON_LAST_CHECK = "not_there_on_last_check"
    CANCELLED = "cancelled"
    LEASE_LOST = "lease_lost"
    INTERNAL = "internal"
    DISK_NOT_FOUND = "disk_not_found"
    NOTHING_DEPLOYED_THERE = "nothing_deployed_there"
    NOT_THERE_AFTER_REBOOT = "not_there_after_reboot"
    POWER_FAILED = "power_failed"
    NODE_UNREACHABLE = "node_unreachable"
    COMMAND_TIMED_OUT = "command_timed_out"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INVENTORY_UNREACHABLE = "inventory_unreachable"


class BusyPolicy(StrEnum):
    """What to do about nodes that another deployment holds."""

    EXCLUDE = "exclude"
    FAIL = "fail"
    WAIT = "wait"


class BootMethod(StrEnum):
    """How the new system is started."""

    NETWORK = "network"
    GRUB = "grub"
    CHAINLOAD = "chainload"
    KEXEC = "kexec"


class RebootLevel(StrEnum):
    """A rung of the reboot ladder."""

    SOFT = "soft"
    HARD = "hard"
    VERY_HARD = "very_hard"
