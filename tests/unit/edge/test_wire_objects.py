"""Objects are counted in bytes as they are in the message that these bytes make."""

from typing import Any, cast

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as some

from kadeploy.bootctl.v1 import bootctl_service_pb2
from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_edge.wire_objects import NotCountable, count_objects
from tests.integration.fuzz.strange_messages import filled

KINDS = (
    inventory_service_pb2.RegisterNodesRequest,
    inventory_service_pb2.UpdateClusterRequest,
    inventory_service_pb2.RecordEnvironmentRequest,
    bootctl_service_pb2.SetBootEntriesRequest,
)
MOST = 1_000_000


def descriptor_of(kind: type[Message]) -> Descriptor:
    found: Any = kind.DESCRIPTOR
    return cast("Descriptor", found)


def objects_in(message: Message) -> int:
    count = 0
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            # In bytes the value of a map is a message within the entry.
            inner = field.message_type.fields_by_name["value"].message_type
            count += len(value) + sum(1 + objects_in(one) for one in value.values() if inner)
            continue
        for one in value if field.is_repeated else [value]:
            count += 1 + objects_in(one)
    return count


@given(data=some.data(), kind=some.sampled_from(KINDS))
def test_as_many_are_counted_as_there_are(data: some.DataObject, kind: type[Message]) -> None:
    message = filled(data.draw, descriptor_of(kind))
    assert count_objects(message.SerializeToString(), descriptor_of(kind), most=MOST) == objects_in(message)


@given(content=some.binary(max_size=200), kind=some.sampled_from(KINDS))
def test_no_message_has_more_objects_than_were_counted_in_its_bytes(content: bytes, kind: type[Message]) -> None:
    try:
        message = kind.FromString(content)
    except DecodeError:
        return
    try:
        counted = count_objects(content, descriptor_of(kind), most=MOST)
    except NotCountable:
        return
    assert counted >= objects_in(message)


def test_counting_ends_when_it_is_too_much() -> None:
    kind = inventory_service_pb2.RegisterNodesRequest.DESCRIPTOR
    assert count_objects(b"\x0a\x00" * 100_000, kind, most=10) == 11


@pytest.mark.parametrize("content", [b"\x0a\x7f\x00", b"\x0a", b"\xff" * 12, b"\x0b\x0c", b"\x09\x00"])
def test_bytes_that_make_no_sense_are_refused(content: bytes) -> None:
    with pytest.raises(NotCountable):
        count_objects(content, inventory_service_pb2.RegisterNodesRequest.DESCRIPTOR, most=MOST)
