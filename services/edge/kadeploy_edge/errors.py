"""The eight kinds of errors that a caller can tell apart.

The domain of each service raises words of its own (`NodeNotFound`), each derived from exactly one kind. `status.py`
turns kinds into gRPC codes; nothing here knows gRPC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldViolation:
    """One field of a request that cannot be accepted."""

    field: str
    description: str


class DomainError(Exception):
    """An error that the caller can understand.

    Attributes:
        reason: UPPER_SNAKE word that programs compare; fixed per class.
        message: one sentence for people.
        metadata: every value that stands in the message, by name.
        violations: the fields at fault, when fields are at fault.
    """

    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: tuple[FieldViolation, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})
        self.violations = violations


class Invalid(DomainError):
    """The request can never be accepted as it is."""


class Missing(DomainError):
    """What the request names is not there."""


class Exists(DomainError):
    """What the request would make is there already, and differs."""


class NotInState(DomainError):
    """What the request names is in a state that does not allow it; it may be allowed later."""


class Conflict(DomainError):
    """Somebody else was faster: read again, then retry."""


class Exhausted(DomainError):
    """Something is used up: space, places, patience."""


class Unreachable(DomainError):
    """Something that is needed does not answer; a retry may succeed."""


class Denied(DomainError):
    """The caller may not do this."""


class HistoryGone(DomainError):
    """What the request wants to resume from is kept no more: start over."""


KINDS: tuple[type[DomainError], ...] = (
    Invalid,
    Missing,
    Exists,
    NotInState,
    Conflict,
    Exhausted,
    Unreachable,
    Denied,
    HistoryGone,
)
