"""Every call of the inventory with whatever a request can hold: answered, or refused with a reason; never UNKNOWN."""

from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_rpckit.status import from_rpc_error
from tests.integration.inventory.conftest import Client, Site
from tests.integration.inventory.requests import a_node, an_environment, recording, registering

pytestmark = pytest.mark.integration

STUBS = {
    "NodeService": "nodes",
    "ClusterService": "clusters",
    "EnvironmentService": "environments",
    "RightService": "rights",
    "ResolutionService": "resolution",
}
METHODS = [
    (STUBS[service.name], method.name, method.input_type)
    for service in inventory_service_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
SURE = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "ABORTED", "PERMISSION_DENIED"}
SURE |= {"OUT_OF_RANGE", "RESOURCE_EXHAUSTED"}
# Words that mean something here, and words that mean something to a careless reader.
NASTY = (
    "|*|node-1|node-[1-3]|node-[1-|@all|default|debian|root|alice|sda|sda3|/dev/sda|52:54:00:00:09:01|10.0.9.1|"
    "file:///srv/x.tar|http://h/x|/boot/k|ext4|swap|..|a\nb|\0|'; --|visibility|image.digest|profile.commands|disks|"
    "sha256:" + "0" * 64 + "|" + "é" * 70 + "|" + "x" * 5000
)
WORDS = st.sampled_from(NASTY.split("|"))
TEXTS = WORDS | st.text(max_size=12)
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: st.sampled_from([0, 1, 2, 3, 5, 128, 129, -1, 2**31 - 1, -(2**31)]),
    FieldDescriptor.CPPTYPE_INT64: st.sampled_from([0, 1, 2**20, 2**33, -1, 2**63 - 1, -(2**63)]),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_STRING: TEXTS,
    FieldDescriptor.CPPTYPE_ENUM: st.sampled_from([0, 1, 2, 3, 99]),
}


def messages(kind: Descriptor, depth: int = 0) -> st.SearchStrategy[Message]:
    """Returns what draws messages: each field left out, or filled with something."""

    @st.composite
    def draw_message(draw: st.DrawFn) -> Message:
        message = GetMessageClass(kind)()
        for field in kind.fields:
            if draw(st.integers(0, 3)) == 0:
                continue
            _fill(draw, message, field, depth)
        return message

    return draw_message()


def _fill(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        if field.message_type.fields_by_name["value"].message_type is None:
            getattr(message, field.name).update(draw(st.dictionaries(TEXTS, TEXTS, max_size=2)))
        return
    if field.message_type is not None:
        if depth > 4:
            return
        count = draw(st.integers(0, 2)) if field.is_repeated else 1
        for _ in range(count):
            value: Any = draw(messages(field.message_type, depth + 1))
            target = getattr(message, field.name)
            (target.add() if field.is_repeated else target).CopyFrom(value)
        return
    values = NUMBERS[field.cpp_type]
    if field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(values, max_size=3)))
    else:
        setattr(message, field.name, draw(values))


def answer(client: Client, stub: str, method: str, request: Message) -> tuple[str, str]:
    """Returns the status code and the reason of a call."""
    try:
        getattr(getattr(client, stub), method)(request, timeout=20)
    except grpc.RpcError as error:
        remote = from_rpc_error(error)
        if remote.code is grpc.StatusCode.INVALID_ARGUMENT:
            assert remote.violations, remote
        return remote.code.name, remote.reason
    return "OK", "none"


@pytest.mark.parametrize(("stub", "method", "kind"), METHODS, ids=[f"{stub}.{name}" for stub, name, _ in METHODS])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_request_is_answered_or_refused_with_a_reason(
    site: Site, stub: str, method: str, kind: Descriptor, data: st.DataObject
) -> None:
    if not site.root.nodes.ListNodes(inventory_service_pb2.ListNodesRequest()).nodes:
        site.root.nodes.RegisterNodes(registering(a_node(1), a_node(2)))
    site.root.environments.RecordEnvironment(recording(an_environment("debian")))
    caller = data.draw(st.sampled_from([site.root, site.alice, site.deployer]))
    code, reason = answer(caller, stub, method, data.draw(messages(kind)))
    assert code in SURE
    assert reason
