"""Names: of nodes, clusters, users, environments and devices. Each parser returns the name or raises ValueError."""

import re
from collections.abc import Iterable

WILDCARD = "*"
# Words that say what is on a partition; no environment can be called so.
UNDEFINED = "undefined"
RESERVED_ENVIRONMENT_NAMES = frozenset({UNDEFINED, "swap", "tmp", "empty"})

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")
_CLUSTER = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,62}\Z")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}\Z")
_DEVICE = re.compile(r"[a-z][a-z0-9]{0,30}\Z")
_DEVICE_FILE = re.compile(
    r"([a-z][a-z0-9]{0,30}|(cciss|ida|rd)/c[0-9]{1,2}d[0-9]{1,3}|mapper/[A-Za-z0-9][A-Za-z0-9_.+-]{0,99})\Z"
)
_DISK_LINK = re.compile(r"by-(id|path)/[A-Za-z0-9][!-.0-~]{0,199}\Z")
# Numbers begin at 1: sda3, sda10, nvme0n1p3, but not sda0.
_PARTITION = re.compile(r"(?=.{1,42}\Z)[a-z]([a-z0-9]*[a-z])?[1-9][0-9]{0,2}\Z")
_LABEL_KEY = re.compile(r"[a-z0-9]([a-z0-9_./-]{0,61}[a-z0-9])?\Z")
_STEP = re.compile(r"[a-z][a-z_]{0,62}\Z")


def are_node_names(texts: Iterable[str]) -> bool:
    """Returns whether all texts are host names as parse_node_name takes them; thousands take little time."""
    return all(map(_HOST_NAME.match, texts))


def parse_node_name(text: str) -> str:
    """Returns a host name in lower case letters, digits, hyphens and dots."""
    if not text:
        raise ValueError("must not be empty")
    if not _HOST_NAME.match(text):
        raise ValueError(f"is no host name of lower-case letters, digits, hyphens and dots: {text!r}")
    return text


def parse_cluster_name(text: str) -> str:
    """Returns the name of a cluster."""
    if not _CLUSTER.match(text):
        raise ValueError(f"must be lower-case letters, digits and hyphens, at most 63: {text!r}")
    return text


def parse_user_name(text: str) -> str:
    """Returns the name of a user."""
    if not _USER.match(text):
        raise ValueError(f"is no user name: {text!r}")
    return text


def parse_environment_name(text: str) -> str:
    """Returns the name of an environment."""
    if text in RESERVED_ENVIRONMENT_NAMES:
        raise ValueError(f"is a word of its own for partitions and cannot name an environment: {text!r}")
    if not _ENVIRONMENT.match(text):
        raise ValueError(f"must be letters, digits and any of _ . + -, at most 64, and begin with no sign: {text!r}")
    return text


def parse_installed_name(text: str) -> str:
    """Returns what may be said to be on a partition: an environment's name or a reserved word."""
    return text if text in RESERVED_ENVIRONMENT_NAMES else parse_environment_name(text)


def parse_device_name(text: str) -> str:
    """Returns the name of a block device without `/dev/`."""
    if text.startswith("/dev/"):
        raise ValueError(f"is written without /dev/: {text.removeprefix('/dev/')!r}")
    if not _DEVICE.match(text):
        raise ValueError(f"is no name of a block device such as sda or nvme0n1: {text!r}")
    return text


def parse_device_file(text: str) -> str:
    """Returns the name of a disk's device file without `/dev/`: `sda`, `cciss/c0d0`, `mapper/mpatha`."""
    if not _DEVICE_FILE.match(text):
        raise ValueError(f"is no device file of a disk such as sda, cciss/c0d0 or mapper/mpatha: {text!r}")
    return text


def parse_disk_link(text: str) -> str:
    """Returns a link below `/dev/disk`: `by-id/wwn-0x5000c500a1b2c3d4`."""
    if not _DISK_LINK.match(text):
        raise ValueError(f"is no link such as by-path/pci-0000:17:00.0-scsi-0:0:0:0 or by-id/wwn-0x5000…: {text!r}")
    return text


def parse_partition_word(text: str) -> str:
    """Returns device and number, such as `sda3`, or the wildcard."""
    if text != WILDCARD and not _PARTITION.match(text):
        raise ValueError(f"must be a device with a partition number, such as sda3, or *: {text!r}")
    return text


def parse_label_key(text: str) -> str:
    """Returns the key of a label."""
    if not _LABEL_KEY.match(text):
        raise ValueError(f"has a key that is not lower-case letters, digits and any of _ . / -: {text!r}")
    return text


def parse_step_name(text: str) -> str:
    """Returns the name of a step of a deployment."""
    if not _STEP.match(text):
        raise ValueError(f"is no name of a step, such as boot_deployment_environment: {text!r}")
    return text


def partition_word(device: str, number: int) -> str:
    """Returns the kernel's word for a partition: `sda3`, `nvme0n1p3`."""
    between = "p" if device[-1:].isdigit() else ""
    return f"{device}{between}{number}"
