"""Bounds of requests: what the contract says at each field, checked before any work is done.

The option `kadeploy.limits.v1.bound` of a text, bytes, list or map says how much it may hold. From the descriptor of a
message a plan is made once. A message, or a part of it, that is shorter as a whole than its smallest bound needs no
look at its fields; that is most of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from kadeploy.limits.v1 import limits_pb2
from kadeploy_edge.errors import FieldViolation, Invalid

MOST_VIOLATIONS = 10
UNBOUNDED = 1 << 62
BYTES_PER_ELEMENT = 2
"""A text or message in a list takes two bytes on the wire, its tag and its length, even when it is empty."""

# Google's types carry no options of ours.
WELL_KNOWN = {"google.protobuf.FieldMask.paths": limits_pb2.Bound(bytes=255, items=64)}

_TEXT, _BYTES, _MESSAGE = FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE

Found = list[tuple[str, str]]
"""What is out of bounds: the path from the value that was checked, and a description."""
Check = Callable[[Any], Found]
"""Checks the value of a field. Paths are put together only for what is found: most values are as they should be."""
_NOTHING: Found = []


class OutOfBounds(Invalid):
    """A field of the request holds more than the contract allows."""

    reason = "OUT_OF_BOUNDS"


@dataclass(frozen=True, slots=True)
class Plan:
    """How messages of one type are checked.

    Attributes:
        safe_bytes: a message that is not longer on the wire holds nothing that is out of bounds.
        checks: the fields that have bounds, or parts with bounds, by name.
    """

    safe_bytes: int
    checks: Mapping[str, Check]

    def check(self, message: Message) -> Found:
        """Returns what is out of bounds in a message."""
        if message.ByteSize() <= self.safe_bytes:
            return _NOTHING
        found: Found = []
        for field, value in message.ListFields():
            check_field = self.checks.get(field.name)
            if check_field is not None and (wrong := check_field(value)):
                found += [(f"{field.name}{path}", description) for path, description in wrong]
        return found


def check(message: Message) -> None:
    """Raises OutOfBounds when a field of the request holds more than the contract allows; names the first ten."""
    if found := plan_of(message.DESCRIPTOR).check(message):
        violations = tuple(FieldViolation(field=path, description=text) for path, text in found[:MOST_VIOLATIONS])
        first = violations[0]
        raise OutOfBounds(
            f"the request cannot be accepted: {first.field} {first.description}",
            metadata={"field": first.field},
            violations=violations,
        )


def bound_of(field: FieldDescriptor) -> limits_pb2.Bound:
    """Returns the bound that the contract gives a field; an empty one where it gives none."""
    known = WELL_KNOWN.get(field.full_name)
    bound: limits_pb2.Bound = known or field.GetOptions().Extensions[limits_pb2.bound]
    return bound


@cache
def plan_of(descriptor: Descriptor) -> Plan:
    """Returns how messages of a type are checked. The type must not hold itself."""
    safe_bytes, checks = UNBOUNDED, {}
    for field in descriptor.fields:
        safe, check_field = _field_plan(field)
        safe_bytes = min(safe_bytes, safe)
        if check_field is not None:
            checks[field.name] = check_field
    return Plan(safe_bytes, checks)


def _field_plan(field: FieldDescriptor) -> tuple[int, Check | None]:
    """Returns up to which length of its message a field is safe, and its check; None where it needs none."""
    bound = bound_of(field)
    most_bytes, most_items = bound.bytes or UNBOUNDED, bound.items or UNBOUNDED
    if _is_map(field):
        return min(most_bytes, most_items * BYTES_PER_ELEMENT), _map_check(most_bytes, most_items)
    safe, check_one = _value_plan(field, most_bytes)
    if not field.is_repeated:
        return safe, check_one
    element = 1 if check_one is None and field.type != _MESSAGE else BYTES_PER_ELEMENT
    return min(safe, most_items * element), _list_check(check_one, most_items)


def _value_plan(field: FieldDescriptor, most_bytes: int) -> tuple[int, Check | None]:
    if field.type in {_TEXT, _BYTES}:
        return most_bytes, _length_check(most_bytes)
    if field.type == _MESSAGE and field.message_type is not None:
        plan = plan_of(field.message_type)
        return plan.safe_bytes, _part_check(plan) if plan.checks else None
    return UNBOUNDED, None


def _part_check(plan: Plan) -> Check:
    return lambda message: [(f".{path}", description) for path, description in plan.check(message)]


def _length_check(most: int) -> Check:
    def check_length(value: str | bytes) -> Found:
        # A letter has four bytes at most: few texts need to be measured.
        if len(value) * 4 <= most:
            return _NOTHING
        length = len(value.encode()) if isinstance(value, str) else len(value)
        return [("", f"has {length} bytes; at most {most} are accepted")] if length > most else _NOTHING

    return check_length


def _list_check(check_one: Check | None, most: int) -> Check:
    def check_list(values: Any) -> Found:
        if len(values) > most:
            return [("", _too_many(len(values), most))]
        found: Found = []
        if check_one is None:
            return found
        for index, value in enumerate(values):
            if wrong := check_one(value):
                found += [(f"[{index}]{path}", description) for path, description in wrong]
                if len(found) >= MOST_VIOLATIONS:
                    break
        return found

    return check_list


def _map_check(most_bytes: int, most: int) -> Check:
    check_length = _length_check(most_bytes)

    def check_map(values: Any) -> Found:
        if len(values) > most:
            return [("", _too_many(len(values), most))]
        return [
            (f"[{key[:20]!a}]", description)
            for key, value in values.items()
            for _, description in (*check_length(key), *check_length(value))
        ]

    return check_map


def _too_many(count: int, most: int) -> str:
    return f"has {count} elements; at most {most} are accepted"


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
