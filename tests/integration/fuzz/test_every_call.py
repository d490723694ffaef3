"""No request, however strange, ends in a fault of a service or in half a change: every call of all three services."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from kadeploy_edge import access
from kadeploy_edge.status import RemoteError, from_rpc_error
from tests.integration.fuzz.served import CALLERS, CONTRACTS, SECONDS, WELL_FORMED, Served, well_formed
from tests.integration.fuzz.strange_messages import filled, mutate

pytestmark = pytest.mark.integration

# Of each call, at every run. 150 take three minutes: worth it after a change of the contracts.
EXAMPLES = 6
EXAMPLES_ON_MARIADB = 60
MOST_MESSAGES = 3
# What a caller can be told. Not among them: INTERNAL and UNKNOWN (our faults), UNAVAILABLE (the database is there) and
# DEADLINE_EXCEEDED (nothing waits for ever).
ANSWERS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.OUT_OF_RANGE,
}
SERVED = {"inventory on sqlite": "inventory", "deployer": "deployer", "bootctl": "bootctl"}
METHODS = {
    service: [
        method for contract in CONTRACTS[service][0].DESCRIPTOR.services_by_name.values() for method in contract.methods
    ]
    for service in CONTRACTS
}
CALLS = [
    pytest.param(name, method, id=f"{name}: {method.name}")
    for name, service in SERVED.items()
    for method in METHODS[service]
]


def refusal(call: Any, requests: list[Message], method: MethodDescriptor) -> RemoteError | None:
    """Makes a call to its end, and returns what the service says against it."""
    try:
        answer = call(iter(requests) if method.client_streaming else requests[0], timeout=SECONDS)
        if method.server_streaming:
            list(answer)
    except grpc.RpcError as error:
        return from_rpc_error(error)
    return None


def a_request(draw: Callable[[some.SearchStrategy[Any]], Any], method: MethodDescriptor) -> Message:
    """Returns a request: a good one that was spoilt, or one out of nothing."""
    good = well_formed(method)
    if good is None or not draw(some.integers(0, 3)):
        return filled(draw, method.input_type)
    for _ in range(draw(some.integers(1, 3))):
        mutate(draw, good)
    return good


def changes_nothing(method: MethodDescriptor, request: Message) -> bool:
    path = f"/{method.containing_service.full_name}/{method.name}"
    return not access.is_changing(path) or bool(getattr(request, "validate_only", False))


def check(served: Served, method: MethodDescriptor, data: some.DataObject) -> None:
    """Makes one call, and looks at what is said and at what is left behind."""
    before = served.furnished()
    count = data.draw(some.integers(1, MOST_MESSAGES)) if method.client_streaming else 1
    requests = [a_request(data.draw, method) for _ in range(count)]
    # Mostly somebody who is let in: the others are turned away at the door.
    caller = data.draw(some.sampled_from(("user:root", "user:root", *CALLERS)))
    said = refusal(served.method(method, caller), requests, method)
    served.settle()
    if said is not None:
        assert said.code in ANSWERS, (method.name, said, requests)
        assert said.reason, (method.name, said, requests)
        assert said.violations or said.code is not grpc.StatusCode.INVALID_ARGUMENT, (method.name, said, requests)
    if said is None and not changes_nothing(method, requests[0]):
        served.known = None
    else:
        assert served.content() == before, (method.name, said, requests)


@pytest.mark.parametrize(("served", "method"), CALLS, indirect=["served"])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=some.data())
def test_every_request_is_answered_by_a_word_of_the_contract_and_a_refused_one_changes_nothing(
    served: Served, method: MethodDescriptor, data: some.DataObject
) -> None:
    check(served, method, data)


@pytest.mark.mariadb
@pytest.mark.parametrize("served", ["inventory on mariadb"], indirect=True)
@settings(max_examples=EXAMPLES_ON_MARIADB, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=some.data())
def test_the_same_holds_on_the_other_database(served: Served, data: some.DataObject) -> None:
    check(served, data.draw(some.sampled_from(METHODS["inventory"])), data)


def test_every_good_request_belongs_to_a_call() -> None:
    assert set(WELL_FORMED) <= {method.name for methods in METHODS.values() for method in methods}
