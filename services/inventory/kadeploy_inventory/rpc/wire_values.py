"""Single values on the wire and in the domain: enums, times, durations."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from kadeploy_edge.errors import FieldViolation, Invalid

EnumT = TypeVar("EnumT", bound=StrEnum)


class UnreadableValue(Invalid):
    """A value that this version of the contract does not know, or that is out of any range."""

    reason = "UNREADABLE_VALUE"

    @classmethod
    def of(cls, field: str, value: object) -> "UnreadableValue":
        """Returns the error for one value."""
        violation = FieldViolation(field=field, description=f"has no meaning here: {value}")
        metadata = {"field": field, "value": str(value)}
        return cls(f"{field} has no meaning here: {value}", metadata=metadata, violations=(violation,))


def read_enum(kind: type[EnumT], number: int, names: Any, *, prefix: str, default: EnumT) -> EnumT:
    """Returns the domain's word for a number on the wire.

    Args:
        kind: the domain's enum; its members are called as those of the contract without prefix.
        number: the number.
        names: the contract's enum.
        prefix: `PARTITION_ROLE_`.
        default: what unspecified means.
    """
    if number == 0:
        return default
    try:
        return kind[names.Name(number).removeprefix(prefix)]
    except (ValueError, KeyError):
        raise UnreadableValue.of(prefix.removesuffix("_").lower(), number) from None


@cache
def write_enum(value: StrEnum, names: Any, *, prefix: str) -> Any:
    """Returns the number on the wire of a domain's word."""
    return names.Value(f"{prefix}{value.name}")


def read_time(message: Timestamp, field: str) -> datetime:
    """Returns a point in time."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UnreadableValue.of(field, message.seconds) from None


@lru_cache(maxsize=256)
def write_time(value: datetime | None) -> Timestamp | None:
    """Returns a point in time as a message, to be copied into another; None stays absent."""
    if value is None:
        return None
    message = Timestamp()
    message.FromDatetime(value)
    return message


def read_duration(message: Duration, field: str) -> timedelta:
    """Returns a duration."""
    try:
        return message.ToTimedelta()
    except (ValueError, OverflowError):
        raise UnreadableValue.of(field, message.seconds) from None


def write_duration(value: timedelta | None) -> Duration | None:
    """Returns a duration as a message; None stays absent."""
    if value is None:
        return None
    message = Duration()
    message.FromTimedelta(value)
    return message
