"""A finding: one thing in the tree that is not as it should be."""

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """The kinds of the contract."""

    MISSING_LOADER = "missing_loader"
    MISSING_DIRECTORY = "missing_directory"
    NOT_WRITABLE = "not_writable"
    MISSING_FILE = "missing_file"
    CHANGED_FILE = "changed_file"
    UNKNOWN_FILE = "unknown_file"
    LITTLE_SPACE = "little_space"
    UNSAFE_PERMISSIONS = "unsafe_permissions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong at a path (relative to the TFTP root) and what to do."""

    kind: FindingKind
    path: str
    description: str
    repaired: bool = False
