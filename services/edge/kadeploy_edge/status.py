"""Errors to google.rpc.Status and back: the one table of kinds and codes."""

from collections.abc import Mapping, Sequence

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from kadeploy_edge.errors import (
    Conflict,
    Denied,
    DomainError,
    Exhausted,
    Exists,
    FieldViolation,
    HistoryGone,
    Invalid,
    Missing,
    NotInState,
    Unreachable,
)

CODES: dict[type[DomainError], int] = {
    Invalid: code_pb2.INVALID_ARGUMENT,
    Missing: code_pb2.NOT_FOUND,
    Exists: code_pb2.ALREADY_EXISTS,
    NotInState: code_pb2.FAILED_PRECONDITION,
    Conflict: code_pb2.ABORTED,
    Exhausted: code_pb2.RESOURCE_EXHAUSTED,
    Unreachable: code_pb2.UNAVAILABLE,
    Denied: code_pb2.PERMISSION_DENIED,
    HistoryGone: code_pb2.OUT_OF_RANGE,
}
"""The gRPC code of each kind."""

# A status travels in the trailers of a call, of which gRPC refuses more than 8 KiB; there the message stands twice, and
# once of it every byte that is not ASCII is tripled. These bounds leave room for that and for what gRPC adds itself.
MESSAGE_BYTES = 600
METADATA_BYTES = 900
METADATA_VALUE_BYTES = 200
VIOLATIONS_BYTES = 2000
VIOLATION_BYTES = 400

_KINDS = {code: kind for kind, code in CODES.items()}
_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


def code_name(number: int) -> str:
    """Returns the name of a gRPC code: "NOT_FOUND"."""
    return _STATUS_CODES[number].name


class RemoteError(Exception):
    """An error that a service answered, as its caller sees it.

    Attributes:
        code: the gRPC code.
        kind: the kind of error, None for one that no service of ours raised (a broken connection, a deadline).
        reason: the service's word for it, empty when there is none.
        message: one sentence.
        metadata: the values in the sentence, by name.
        violations: the fields at fault.
    """

    def __init__(
        self,
        *,
        code: grpc.StatusCode,
        message: str,
        reason: str = "",
        metadata: dict[str, str] | None = None,
        violations: tuple[FieldViolation, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = metadata or {}
        self.violations = violations
        # An UNAVAILABLE without a reason is the transport's, not a service's.
        self.kind = _KINDS.get(code.value[0]) if reason else None


def ok_status() -> status_pb2.Status:
    """Returns the status of a success."""
    return status_pb2.Status(code=code_pb2.OK)


def to_status(error: DomainError, *, domain: str) -> status_pb2.Status:
    """Returns the status that tells a caller of an error.

    Args:
        error: of exactly one kind.
        domain: who says it: "inventory.kadeploy".
    """
    code = next((code for kind, code in CODES.items() if isinstance(error, kind)), code_pb2.INTERNAL)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=domain, metadata=_bounded(error.metadata))
    details = [_packed(info)]
    if error.violations:
        details.append(_packed(_bad_request(error.violations)))
    return status_pb2.Status(code=code, message=clipped(error.message, MESSAGE_BYTES), details=details)


def clipped(text: str, most: int) -> str:
    """Returns a text of at most so many bytes in UTF-8, with three dots where something is missing."""
    encoded = text.encode("utf-8", errors="replace")
    if len(encoded) <= most:
        return encoded.decode()
    return encoded[: most - len("…".encode())].decode(errors="ignore") + "…"


def _bounded(metadata: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    room = METADATA_BYTES
    for name, value in metadata.items():
        short = clipped(value, METADATA_VALUE_BYTES)
        room -= len(name) + len(short.encode())
        if room < 0:
            break
        kept[name] = short
    return kept


def _bad_request(violations: Sequence[FieldViolation]) -> error_details_pb2.BadRequest:
    """Returns the fields at fault: as many as there is room for, then one that says how many more there are."""
    request = error_details_pb2.BadRequest()
    room = VIOLATIONS_BYTES
    for index, violation in enumerate(violations):
        field, description = (clipped(text, VIOLATION_BYTES) for text in (violation.field, violation.description))
        room -= len(field.encode()) + len(description.encode())
        if room < 0:
            request.field_violations.add(field="…", description=f"and {len(violations) - index} more")
            break
        request.field_violations.add(field=field, description=description)
    return request


def internal_status(request_id: str, *, domain: str) -> status_pb2.Status:
    """Returns the status of an error that nobody foresaw; the log tells more under the request's id."""
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=domain, metadata={"request_id": request_id})
    message = f"internal error; the log of {domain} tells more under request {request_id}"
    return status_pb2.Status(code=code_pb2.INTERNAL, message=message, details=[_packed(info)])


def from_status(status: status_pb2.Status) -> RemoteError:
    """Returns the error that a status tells of. The status must not be OK."""
    code = _STATUS_CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    reason, metadata, violations = "", {}, []
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        request = error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(request):
            violations = [FieldViolation(field=v.field, description=v.description) for v in request.field_violations]
    return RemoteError(
        code=code, message=status.message, reason=reason, metadata=metadata, violations=tuple(violations)
    )


def from_rpc_error(error: grpc.RpcError) -> RemoteError:
    """Returns what a failed call was told, from a sync or an aio stub."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        # Something between us and the service changed the code: what it says is what counts.
        status = None
    if status is not None:
        return from_status(status)
    return RemoteError(code=error.code(), message=error.details() or error.code().name)


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
