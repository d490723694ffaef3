"""Whom the inventory lets do what, by the names that callers give on a socket."""

import time

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc, node_pb2
from kadeploy_edge import access
from kadeploy_edge.channel import open_channel
from tests.integration.inventory.conftest import Site
from tests.integration.inventory.requests import refusal

pytestmark = pytest.mark.integration

CALLERS = {
    "user:root": {access.USER, access.USER_WITH_RIGHT, access.ADMINISTRATOR},
    "user:alice": {access.USER, access.USER_WITH_RIGHT},
    "deployer": {access.DEPLOYER},
    "bootctl": {access.BOOTCTL},
    "": set(),
    "user:": set(),
    "nonsense": set(),
}
METHODS = [
    (service.name, method.name, f"/{service.full_name}/{method.name}")
    for service in inventory_service_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


def empty_request(service: str, method: str) -> Message:
    descriptor = inventory_service_pb2.DESCRIPTOR.services_by_name[service].methods_by_name[method]
    request: Message = GetMessageClass(descriptor.input_type)()
    return request


@pytest.mark.parametrize("caller", CALLERS)
def test_every_method_is_for_those_callers_that_the_contract_names(site: Site, caller: str) -> None:
    with open_channel(site.address, caller=caller) as channel:
        for service, method, full_method in METHODS:
            stub = getattr(inventory_service_pb2_grpc, f"{service}Stub")(channel)
            allowed = access.allowed_callers(full_method) & CALLERS[caller]
            outcome = outcome_of(stub, method, empty_request(service, method))
            assert (outcome != "CALLER_NOT_ALLOWED") == bool(allowed), (caller, full_method, outcome)


def outcome_of(stub: object, method: str, request: Message) -> str:
    call = getattr(stub, method)
    if method.startswith("List"):
        try:
            call(request)
        except Exception:  # noqa: BLE001 - judged just below
            return refusal(lambda: call(request)).reason
        return "OK"
    return refusal(lambda: call(request)).reason


def test_a_refused_description_of_many_numbers_costs_little(site: Site) -> None:
    names = [f"a{n % 59}-b{n % 53}-c{n % 47}" for n in range(5000)]
    request = inventory_service_pb2.RegisterNodesRequest(nodes=[node_pb2.Node(name=name) for name in names])
    begin = time.process_time()
    assert refusal(lambda: site.alice.nodes.RegisterNodes(request)).reason == "CALLER_NOT_ALLOWED"
    assert time.process_time() - begin < 0.5
