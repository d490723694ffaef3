"""What went wrong with a node, as a value that can be stored and becomes the same error again."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Self

from kadeploy_edge.errors import KINDS, DomainError

_KINDS = {kind.__name__: kind for kind in KINDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """An error without its class. `kind`: the name of its kind; empty for a fault of ours."""

    kind: str
    reason: str
    message: str
    metadata: Mapping[str, str]

    @classmethod
    def from_error(cls, error: DomainError) -> Self:
        """Returns what is stored of an error."""
        kind = next((name for name, kind in _KINDS.items() if isinstance(error, kind)), "")
        return cls(kind=kind, reason=error.reason, message=error.message, metadata=error.metadata)

    def to_error(self) -> DomainError:
        """Returns an error of the same kind with the same reason, message and metadata."""
        return _class_of(self.kind, self.reason)(self.message, metadata=self.metadata)


def error_of(record: ErrorRecord | None) -> DomainError | None:
    """Returns the error of a record, None where there is no record."""
    return None if record is None else record.to_error()


@cache
def _class_of(kind: str, reason: str) -> type[DomainError]:
    return type("StoredError", (_KINDS.get(kind, DomainError),), {"reason": reason})
