"""The words of the specification: states, reasons, policies. Values are the words themselves."""

from enum import StrEnum


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
