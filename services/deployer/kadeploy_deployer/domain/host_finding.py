"""What was found of something that the deployer needs of its host."""

from dataclasses import dataclass
from enum import StrEnum


class FindingState(StrEnum):
    """How it is; the states of the contract."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFinding:
    """`subject`: what was checked; `description`: how it is; `advice`: what to do."""

    subject: str
    state: FindingState
    description: str
    advice: str = ""


def good(subject: str, description: str) -> HostFinding:
    """Returns that something is well."""
    return HostFinding(subject=subject, state=FindingState.GOOD, description=description)


def bad(subject: str, description: str, advice: str) -> HostFinding:
    """Returns that something does not work."""
    return HostFinding(subject=subject, state=FindingState.BAD, description=description, advice=advice)


def warning(subject: str, description: str, advice: str) -> HostFinding:
    """Returns that something will not work for long."""
    return HostFinding(subject=subject, state=FindingState.WARNING, description=description, advice=advice)
