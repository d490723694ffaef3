"""Turns values of the domain into JSON documents and back, by the types of their fields.

For what is read and written whole and never searched: profiles, command templates, boot specifications.
"""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

ValueT = TypeVar("ValueT")


def to_document(value: Any) -> Any:
    """Returns a value as JSON knows it: durations in seconds, enums as their words."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: to_document(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {key: to_document(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_document(item) for item in value]
    return value


def from_document(wanted: type[ValueT], document: Any) -> ValueT:
    """Returns the value of a document; fields that it does not name take their defaults."""
    value: ValueT = _read(wanted, document)
    return value


def _read(wanted: Any, document: Any) -> Any:
    origin = get_origin(wanted)
    if origin is types.UnionType:
        (option,) = (each for each in get_args(wanted) if each is not types.NoneType)
        return None if document is None else _read(option, document)
    if origin is tuple:
        return tuple(_read(get_args(wanted)[0], item) for item in document)
    if origin is Mapping:
        return dict(document)
    if wanted is timedelta:
        return timedelta(seconds=document)
    if is_dataclass(wanted):
        hints = get_type_hints(wanted)
        document = {name: _read(hints[name], item) for name, item in document.items()}
        return wanted(**document)  # type: ignore[operator]  # a class, which the check cannot tell
    return wanted(document)
