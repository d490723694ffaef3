"""Every text, bytes, list and map that a request can hold has a bound in the contract, and no request is recursive."""

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from kadeploy.bootctl.v1 import bootctl_service_pb2
from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_edge import bounds
from kadeploy_edge.bounds import OutOfBounds, bound_of
from kadeploy_nodeset import MAXIMUM_TEXT

DEEPEST = 6
MODULES = (inventory_service_pb2, deployer_service_pb2, bootctl_service_pb2)
METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]

_TEXTS = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def fields_of(message: Descriptor, depth: int = 1) -> Iterator[tuple[FieldDescriptor, int]]:
    """Gives every field below a message with its depth, Google's types included."""
    for field in message.fields:
        yield field, depth
        # One level beyond, so that a message that holds itself ends the walk and fails the test.
        if field.message_type is not None and not is_map(field) and depth <= DEEPEST:
            yield from fields_of(field.message_type, depth + 1)


FIELDS = {field.full_name: field for method in METHODS for field, _ in fields_of(method.input_type)}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_a_field_of_a_request_has_the_bound_that_its_kind_needs(field: FieldDescriptor) -> None:
    bound = bound_of(field)
    has_texts = field.type in _TEXTS or is_map(field)
    assert (bound.bytes > 0) == has_texts, "a text, bytes, or a list or map of them says how many bytes each has"
    assert (bound.items > 0) == field.is_repeated, "a list or map says how many elements it has"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_no_request_is_deep_or_holds_itself(method: MethodDescriptor) -> None:
    assert max((depth for _, depth in fields_of(method.input_type)), default=1) <= DEEPEST


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_what_is_beyond_the_bound_of_a_field_is_refused_and_what_is_within_is_not(field: FieldDescriptor) -> None:
    bound = bound_of(field)
    if not bound.bytes and not bound.items:
        return
    texts = {FieldDescriptor.TYPE_STRING: "x", FieldDescriptor.TYPE_BYTES: b"x"}
    one = texts.get(field.type, GetMessageClass(field.message_type)() if field.message_type else 1)

    holder = field.containing_type
    assert holder is not None

    def holding(length: int, items: int) -> None:
        message = GetMessageClass(holder)()
        value = one * length if field.type in _TEXTS else one  # type: ignore[operator]
        if is_map(field):
            getattr(message, field.name).update({str(number): "x" * length for number in range(items)})
        elif field.is_repeated:
            getattr(message, field.name).extend([value] * items)
        else:
            setattr(message, field.name, value)
        bounds.check(message)

    few, many = min(bound.items or 1, 2), bound.items
    holding(bound.bytes, few)
    holding(1, many or 1)
    if bound.bytes:
        with pytest.raises(OutOfBounds):
            holding(bound.bytes + 1, few)
    if many:
        with pytest.raises(OutOfBounds):
            holding(1, many + 1)


def test_a_node_set_has_the_room_that_its_reader_accepts() -> None:
    sets = [field for field in FIELDS.values() if field.name == "nodes" and field.type == FieldDescriptor.TYPE_STRING]
    assert {bound_of(field).bytes for field in sets} == {MAXIMUM_TEXT}
