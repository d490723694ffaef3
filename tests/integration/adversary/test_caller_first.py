"""Every call decides who calls, and whether they may, before it looks at the request, whatever the request is."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
from google.protobuf.descriptor import MethodDescriptor

from kadeploy_edge import access
from tests.integration.adversary.bad_requests import (
    DEEP,
    MALFORMED,
    MANY_EMPTY_MESSAGES,
    answer_of,
    huge,
    methods_of,
    path_of,
    too_large,
)
from tests.integration.adversary.well_behaved_client import well_behaved_client
from tests.tls_site import SERVICES, TlsSite

pytestmark = pytest.mark.integration

CALLERS = {
    "mallory": frozenset[str](),
    "bob": frozenset({access.USER, access.USER_WITH_RIGHT}),
    "alice": frozenset({access.USER, access.USER_WITH_RIGHT}),
    "root": frozenset({access.USER, access.USER_WITH_RIGHT, access.ADMINISTRATOR}),
    "inventory": frozenset({access.INVENTORY}),
    "deployer": frozenset({access.DEPLOYER}),
    "bootctl": frozenset({access.BOOTCTL}),
}
REVOKED = ("PERMISSION_DENIED", "CERTIFICATE_REVOKED")
NOT_ALLOWED = ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")
TOO_LARGE = ("INVALID_ARGUMENT", "REQUEST_TOO_LARGE")
# gRPC refuses by itself what is larger than the largest request of the service.
TOO_LARGE_FOR_ALL = ("RESOURCE_EXHAUSTED", "")
MALFORMED_REQUEST = ("INVALID_ARGUMENT", "MALFORMED_REQUEST")
REQUESTS: dict[str, tuple[Callable[[MethodDescriptor], bytes | None], set[tuple[str, str]]]] = {
    "malformed": (lambda _: MALFORMED, {MALFORMED_REQUEST}),
    "deep": (lambda _: DEEP, {MALFORMED_REQUEST}),
    "too large": (too_large, {TOO_LARGE, TOO_LARGE_FOR_ALL}),
    "none": (lambda _: None, {("INVALID_ARGUMENT", "REQUEST_MISSING")}),
}
# Of a stream of requests without one.
JUDGED_BY_SERVICER = {("INVALID_ARGUMENT", "INVALID_UPLOAD"), ("INVALID_ARGUMENT", "INVALID_CONTROL")}
# What a service may need for what it refuses: nothing like the size of the request.
MOST_MIB = 48


def wanted(caller: str, path: str, refusals: set[tuple[str, str]]) -> set[tuple[str, str]]:
    if caller == "mallory":
        return {REVOKED}
    return refusals if CALLERS[caller] & access.allowed_callers(path) else {NOT_ALLOWED}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("service", SERVICES)
def test_the_caller_is_decided_before_the_request_is_looked_at(site: TlsSite, service: str, caller: str) -> None:
    wrong: list[str] = []
    with well_behaved_client(site, service) as beside, site.channel(service, caller) as shared:
        for method in methods_of(service):
            # A revoked caller's connection ends after some refusals, so each method has one of its own.
            with site.channel(service, caller) if caller == "mallory" else nullcontext(shared) as channel:
                for name, (make, refusals) in REQUESTS.items():
                    content = make(method)
                    messages = iter(()) if content is None else iter([content])
                    judged = content is None and method.client_streaming
                    expected = wanted(caller, path_of(method), JUDGED_BY_SERVICER if judged else refusals)
                    found = answer_of(channel, path_of(method), messages)
                    if found not in expected:
                        wrong.append(f"{method.name}, {name}: {found}, expected one of {expected}")
    assert wrong == []
    assert not beside.failures


@pytest.mark.thorough
@pytest.mark.parametrize("service", SERVICES)
def test_a_huge_request_is_no_matter_of_memory(site: TlsSite, service: str) -> None:
    site.forget_largest_memory(service)
    before = site.memory_mib(service)
    wrong: list[str] = []
    with well_behaved_client(site, service) as beside:
        for caller in ("mallory", "bob", "root"):
            with site.channel(service, caller) as channel:
                for method in methods_of(service):
                    expected = wanted(caller, path_of(method), {TOO_LARGE_FOR_ALL})
                    found = answer_of(channel, path_of(method), iter([huge()]))
                    if found not in expected:
                        wrong.append(f"{method.name} by {caller}: {found}, expected one of {expected}")
    assert wrong == []
    assert not beside.failures
    assert site.memory_mib(service) - before < MOST_MIB


@pytest.mark.parametrize("caller", ["mallory", "alice", "deployer", "root"])
@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("inventory", "/kadeploy.inventory.v1.NodeService/RegisterNodes"),
        ("bootctl", "/kadeploy.bootctl.v1.BootService/SetBootEntries"),
    ],
)
def test_bytes_that_would_be_many_objects_never_become_any(site: TlsSite, service: str, path: str, caller: str) -> None:
    site.forget_largest_memory(service)
    before = site.memory_mib(service)
    with well_behaved_client(site, service) as beside, site.channel(service, caller) as channel:
        found = answer_of(channel, path, iter([MANY_EMPTY_MESSAGES]))
    assert {found} == wanted(caller, path, {TOO_LARGE})
    assert not beside.failures
    assert site.memory_mib(service) - before < MOST_MIB
