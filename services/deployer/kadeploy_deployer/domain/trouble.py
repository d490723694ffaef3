"""What went wrong with a node, as a value that can be kept and told again in the same words."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from kadeploy_rpckit.errors import KINDS, DomainError

_KINDS = {kind.__name__: kind for kind in KINDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An error without its class. `kind`: the name of its kind; empty for a fault of ours."""

    kind: str
    reason: str
    message: str
    metadata: Mapping[str, str]


def noted(error: DomainError) -> Trouble:
    """Returns what is to be kept of an error."""
    kind = next((name for name, kind in _KINDS.items() if isinstance(error, kind)), "")
    return Trouble(kind=kind, reason=error.reason, message=error.message, metadata=error.metadata)


def recalled(trouble: Trouble | None) -> DomainError | None:
    """Returns an error of the same kind that says the same; None when there was none."""
    if trouble is None:
        return None
    return _class_of(trouble.kind, trouble.reason)(trouble.message, metadata=trouble.metadata)


@cache
def _class_of(kind: str, reason: str) -> type[DomainError]:
    return type("Recalled", (_KINDS.get(kind, DomainError),), {"reason": reason})
