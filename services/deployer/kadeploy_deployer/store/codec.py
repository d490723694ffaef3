"""Domain values as JSON text and back: dataclasses, tuples, mappings, enums and plain values, by their annotations.

A key that is not there takes the field's default, so rows written by an older release stay readable.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

_Value = TypeVar("_Value")
_Convert = Callable[[Any], Any]


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))


def _plain(value: object) -> object:
    """Called by the JSON encoder for what it does not know itself."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: getattr(value, name) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return dict(value)
    message = f"{type(value).__name__} cannot be stored"
    raise TypeError(message)


_encoder = json.JSONEncoder(default=_plain, separators=(",", ":"), ensure_ascii=False, check_circular=False)


def dumps(value: object) -> str:
    """Returns a value as JSON text. Enums of text are written as their text."""
    return _encoder.encode(value)


def _identity(value: Any) -> Any:
    return value


def _sequence_of(item: _Convert) -> _Convert:
    return lambda raw: tuple(item(one) for one in raw)


def _mapping_of(item: _Convert) -> _Convert:
    return lambda raw: {key: item(one) for key, one in raw.items()}


def _optional(item: _Convert) -> _Convert:
    return lambda raw: None if raw is None else item(raw)


@cache
def reader_of(hint: Any) -> Callable[[Any], Any]:
    """Returns what makes a value of an annotation's kind of what JSON has."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        (inner,) = (one for one in get_args(hint) if one is not NoneType)
        return _optional(reader_of(inner))
    if origin is tuple:
        return _sequence_of(reader_of(get_args(hint)[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_of(reader_of(get_args(hint)[1]))
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        readers = {name: reader_of(hints[name]) for name in _names(hint)}
        return lambda raw: hint(**{key: readers[key](one) for key, one in raw.items() if key in readers})
    if isinstance(hint, type) and (issubclass(hint, Enum) or hint is float):
        return hint
    return _identity


def loads(kind: type[_Value], text: str) -> _Value:
    """Returns the value of a kind that `dumps` wrote."""
    return cast("_Value", reader_of(cast("Any", kind))(json.loads(text)))
