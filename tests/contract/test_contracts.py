"""The house rules of the contracts, read off the descriptors: what buf's standard rules do not know."""

import re

import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor

from kadeploy.access.v1 import access_pb2
from kadeploy.bootctl.v1 import bootctl_service_pb2
from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy.limits.v1 import limits_pb2
from tests.contract.described import source_info

MODULES = (inventory_service_pb2, deployer_service_pb2, bootctl_service_pb2)
SERVICES = [service for module in MODULES for service in module.DESCRIPTOR.services_by_name.values()]
METHODS = [method for service in SERVICES for method in service.methods]

# Of users: a node set of a mebibyte, and what stands beside it. Of those who are trusted: 10,000 nodes or boot entries.
LARGEST_OF_USERS, LARGEST = (1 << 20) + (1 << 16), 8 << 20
# Standard methods that answer with the resource itself (AIP-131 to 134).
RESOURCE_VERBS = re.compile(r"^(Get|Create|Update|Record|Cancel|Upload)[A-Z]")


def full_name(descriptor: MethodDescriptor | ServiceDescriptor) -> str:
    return str(descriptor.full_name)


@pytest.mark.parametrize("method", METHODS, ids=full_name)
def test_every_method_says_who_may_call_it(method: MethodDescriptor) -> None:
    allowed = method.GetOptions().Extensions[access_pb2.allow]
    assert allowed
    assert access_pb2.CALLER_UNSPECIFIED not in allowed


@pytest.mark.parametrize("method", METHODS, ids=full_name)
def test_a_method_that_changes_something_says_so(method: MethodDescriptor) -> None:
    reads = method.name.startswith(
        ("Get", "List", "Watch", "Plan", "Check", "Resolve", "Render", "Inspect", "Discover")
    )
    assert method.GetOptions().Extensions[access_pb2.changing] == (not reads)


@pytest.mark.parametrize("method", METHODS, ids=full_name)
def test_what_a_user_can_send_is_small(method: MethodDescriptor) -> None:
    options = method.GetOptions()
    trusted = {access_pb2.CALLER_ADMINISTRATOR, access_pb2.CALLER_DEPLOYER}
    largest = LARGEST if set(options.Extensions[access_pb2.allow]) <= trusted else LARGEST_OF_USERS
    assert 0 <= options.Extensions[limits_pb2.largest_request_bytes] <= largest


@pytest.mark.parametrize("method", METHODS, ids=full_name)
def test_requests_and_responses_are_named_after_their_method(method: MethodDescriptor) -> None:
    assert method.input_type.name == f"{method.name}Request"
    if method.output_type.name != f"{method.name}Response":
        assert RESOURCE_VERBS.match(method.name), "only standard methods answer with the resource"


@pytest.mark.parametrize("method", [m for m in METHODS if m.name.startswith("List")], ids=full_name)
def test_lists_are_paged_from_the_start(method: MethodDescriptor) -> None:
    if method.name == "ListLabels":  # a handful of lines of a settings file
        assert "page_size" not in method.input_type.fields_by_name
        return
    assert {"page_size", "page_token"} <= set(method.input_type.fields_by_name)
    assert "next_page_token" in method.output_type.fields_by_name


@pytest.mark.parametrize("method", METHODS, ids=full_name)
def test_the_comment_of_a_changing_method_names_its_errors_or_says_that_it_may_be_repeated(
    method: MethodDescriptor,
) -> None:
    path = _source_path(method)
    locations = source_info(method.containing_service.file.name).location
    comment = next(location.leading_comments for location in locations if tuple(location.path) == path)
    if method.GetOptions().Extensions[access_pb2.changing]:
        assert re.search(r"[A-Z]{3,}_[A-Z]", comment) or "May be repeated" in comment
    assert len(comment.strip()) > 0


def test_times_and_spans_are_never_bare_numbers() -> None:
    bare = [
        field.full_name
        for module in MODULES
        for message in module.DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
        if field.name.endswith(("_time", "_timeout", "duration")) and field.type != FieldDescriptor.TYPE_MESSAGE
    ]
    assert bare == []


def _source_path(method: MethodDescriptor) -> tuple[int, ...]:
    # 6: FileDescriptorProto.service; 2: ServiceDescriptorProto.method
    return (6, method.containing_service.index, 2, method.index)
