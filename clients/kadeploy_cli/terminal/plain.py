"""Messages as plain data: what `-o json` prints.

Enumerations become lower-case words without their prefix, times become text, durations become seconds, 64-bit numbers
stay numbers, and every field is there, so that a program needs to know no protobuf.
"""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def plain(message: Message) -> Any:
    """Returns the message as dictionaries, lists, text, numbers, booleans and None."""
    if isinstance(message, Timestamp):
        return timestamp(message)
    if isinstance(message, Duration):
        return round(message.seconds + message.nanos / 1e9, 3)
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def timestamp(moment: Timestamp) -> str:
    """Returns a time as RFC 3339 text in UTC, to the second."""
    return moment.ToDatetime(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def word(kind: EnumDescriptor, number: int) -> str:
    """Returns an enumeration's value as people say it: PARTITION_STATE_TO_DEPLOY is "to_deploy"."""
    value = kind.values_by_number.get(number)
    if value is None:
        return f"unknown({number})"
    prefix = kind.values_by_number[0].name.removesuffix("UNSPECIFIED")
    short = value.name.removeprefix(prefix).lower()
    return "" if number == 0 else short


def _field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _mapping(value)
    if field.is_repeated:
        return [_value(item, field) for item in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _value(value, field)


def _mapping(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): plain(value) if isinstance(value, Message) else value for key, value in sorted(values.items())}


def _value(value: Any, field: Any) -> Any:
    if isinstance(value, Message):
        return plain(value)
    if field.enum_type is not None:
        return word(field.enum_type, value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value
