"""What the services answer, as JSON: messages field by field, and errors in one form."""

import json
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.responses import Response

from kadeploy_edge import errors
from kadeploy_edge.status import RemoteError

STATUSES: Mapping[type[errors.DomainError], int] = {
    errors.Invalid: 400,
    errors.Missing: 404,
    errors.Exists: 409,
    errors.NotInState: 409,
    errors.Conflict: 409,
    errors.Exhausted: 429,
    errors.Unreachable: 503,
    errors.Denied: 403,
    errors.HistoryGone: 410,
}
UNREACHED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
BAD_GATEWAY, UNAVAILABLE = 502, 503


def message_dict(message: Message) -> dict[str, Any]:
    """Returns a message as the contract names its fields; times in ISO 8601, empty fields left out."""
    return MessageToDict(message, preserving_proto_field_name=True)


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Returns JSON that no cache keeps."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(
        text,
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def problem(status: int, message: str, *, reason: str = "", fields: Mapping[str, str] | None = None) -> Response:
    """Returns an error: one sentence, the contract's word for it, and the fields at fault."""
    error = {"message": message, "reason": reason, "fields": dict(fields or {})}
    return json_response({"error": error}, status)


def remote_problem(error: RemoteError) -> Response:
    """Returns the error that a service answered, or that kept it from answering."""
    if error.kind is not None:
        fields = {violation.field: violation.description for violation in error.violations}
        return problem(STATUSES[error.kind], error.message, reason=error.reason, fields=fields)
    if error.code in UNREACHED:
        return problem(UNAVAILABLE, "a service of Kadeploy does not answer; try again in a moment")
    return problem(BAD_GATEWAY, error.message or error.code.name, reason=error.reason)


def word(enum: EnumDescriptor, number: int) -> str:
    """Returns the value of an enum as people say it: "to_deploy" for PARTITION_STATE_TO_DEPLOY; "" for unspecified."""
    if not number:
        return ""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    known = enum.values_by_number.get(number)
    return known.name.removeprefix(prefix).lower() if known else str(number)


def seconds(time: Timestamp) -> float | None:
    """Returns seconds since 1970 to the millisecond, None for a time that is not set."""
    nanoseconds = time.ToNanoseconds()
    return round(nanoseconds / 1e9, 3) if nanoseconds else None
