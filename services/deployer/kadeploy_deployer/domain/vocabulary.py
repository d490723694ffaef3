"""The inventory's words, as the deployer uses them. Values are the words themselves."""

from enum import StrEnum


class Compression(StrEnum):
    """How a file is packed."""

    NONE = "none"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"


class ImageKind(StrEnum):
    """What the image of an environment is."""

    TAR = "tar"
    """An archive, unpacked into a file system."""
    DD = "dd"
    """The bytes of a partition."""


class OperatingSystem(StrEnum):
    """What an environment runs."""

    LINUX = "linux"
    XEN = "xen"
    OTHER = "other"


class BootKind(StrEnum):
    """How an environment is loaded."""

    LINUX = "linux"
    CHAINLOAD = "chainload"
    MULTIBOOT = "multiboot"


class Firmware(StrEnum):
    """What starts a node."""

    BIOS = "bios"
    UEFI = "uefi"


class PartitionTable(StrEnum):
    """The kind of a disk's partition table."""

    MBR = "mbr"
    GPT = "gpt"


class PartitionType(StrEnum):
    """The kind of a partition in an MBR table."""

    PRIMARY = "primary"
    EXTENDED = "extended"
    LOGICAL = "logical"


class PartitionRole(StrEnum):
    """What a partition is for."""

    DEPLOY = "deploy"
    SWAP = "swap"
    TMP = "tmp"
    PRODUCTION = "production"


class PowerDriverKind(StrEnum):
    """The language of a management controller."""

    IPMI = "ipmi"
    REDFISH = "redfish"
