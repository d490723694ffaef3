"""Every call of every service by every kind of caller, over real mutual TLS, held against what the contracts say.

The table is the option `kadeploy.access.v1.allow` of each method. A method that names nobody fails; one for users with
a right must have a request in REQUESTS on nodes where alice has the right and bob has none.
"""

from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from kadeploy.bootctl.v1 import bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge import access
from kadeploy_edge.status import from_rpc_error
from tests.integration.identity.conftest import TlsSite

pytestmark = pytest.mark.integration

CONTRACTS = {
    "inventory": (inventory_service_pb2, inventory_service_pb2_grpc),
    "deployer": (deployer_service_pb2, deployer_service_pb2_grpc),
    "bootctl": (bootctl_service_pb2, bootctl_service_pb2_grpc),
}
# TLS itself turns these away, before there is a call.
UNBELIEVED = {"nobody", "stranger", "expired"}
KINDS: Mapping[str, frozenset[str]] = {
    "without right": frozenset({access.USER}),
    "with right": frozenset({access.USER, access.USER_WITH_RIGHT}),
    "administrator": frozenset({access.USER, access.USER_WITH_RIGHT, access.ADMINISTRATOR}),
    "inventory": frozenset({access.INVENTORY}),
    "deployer": frozenset({access.DEPLOYER}),
    "bootctl": frozenset({access.BOOTCTL}),
}
NAMES = {
    "revoked": "user:mallory",
    "without right": "user:bob",
    "with right": "user:alice",
    "administrator": "user:root",
}
REFUSED_BY_RIGHT = "RIGHT_MISSING"

SPEC = deployment_pb2.DeploymentSpec(nodes="node-[1-2]", environment_name="debian", device="vda", partition=3)
CONSOLE = deployer_service_pb2.AttachConsoleRequest(target=deployer_service_pb2.ConsoleTarget(node="node-1"))
CONTROL = "/kadeploy.deployer.v1.NodeControlService/"
REQUESTS: Mapping[str, Any] = {
    "/kadeploy.deployer.v1.DeploymentService/CreateDeployment": deployer_service_pb2.CreateDeploymentRequest(spec=SPEC),
    "/kadeploy.deployer.v1.DeploymentService/PlanDeployment": deployer_service_pb2.PlanDeploymentRequest(spec=SPEC),
    f"{CONTROL}RebootNodes": deployer_service_pb2.RebootNodesRequest(
        nodes="node-[1-2]", simple=deployer_service_pb2.SimpleReboot()
    ),
    f"{CONTROL}SetPower": deployer_service_pb2.SetPowerRequest(
        nodes="node-[1-2]", action=deployer_service_pb2.POWER_ACTION_OFF
    ),
    f"{CONTROL}GetPower": deployer_service_pb2.GetPowerRequest(nodes="node-[1-2]"),
    f"{CONTROL}InspectNodes": deployer_service_pb2.InspectNodesRequest(nodes="node-[1-2]"),
    f"{CONTROL}DiscoverMachines": deployer_service_pb2.DiscoverMachinesRequest(network="192.0.2.0/30"),
    f"{CONTROL}RunCommand": deployer_service_pb2.RunCommandRequest(nodes="node-[1-2]", arguments=["true"]),
    f"{CONTROL}AttachConsole": CONSOLE,
    "/kadeploy.deployer.v1.ClusterStateService/GetNodeDiagnosis": deployer_service_pb2.GetNodeDiagnosisRequest(
        node="node-1"
    ),
}


def every_method() -> list[tuple[str, Any]]:
    return [
        (service, method)
        for service, (messages, _) in CONTRACTS.items()
        for contract in messages.DESCRIPTOR.services_by_name.values()
        for method in contract.methods
    ]


def path_of(method: Any) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def outcome_of(site: TlsSite, service: str, caller: str, method: Any) -> tuple[str, grpc.StatusCode]:
    """Makes one call to its end, and returns the reason that was given, or else the name of the code."""
    stubs = CONTRACTS[service][1]
    stub = getattr(stubs, f"{method.containing_service.name}Stub")(site.channels(service, caller))
    request = REQUESTS.get(path_of(method)) or GetMessageClass(method.input_type)()
    call = getattr(stub, method.name)
    try:
        answer = call(iter([request]) if method.client_streaming else request, timeout=20)
        if method.server_streaming:
            list(answer)
    except grpc.RpcError as error:
        remote = from_rpc_error(error)
        return remote.reason or remote.code.name, remote.code
    return "OK", grpc.StatusCode.OK


def expected_of(caller: str, path: str) -> str:
    """Returns the refusal that the contract demands, "let in" for none."""
    allowed = access.allowed_callers(path)
    if caller in UNBELIEVED:
        return "UNAVAILABLE"
    if caller == "revoked":
        return "CERTIFICATE_REVOKED"
    if KINDS[caller] & allowed:
        return "let in"
    # For a user the right is looked for by the service that does the work.
    if caller == "without right" and access.USER_WITH_RIGHT in allowed:
        return REFUSED_BY_RIGHT
    return "CALLER_NOT_ALLOWED"


REFUSALS = {"UNAVAILABLE", "CERTIFICATE_REVOKED", REFUSED_BY_RIGHT, "CALLER_NOT_ALLOWED", "UNAUTHENTICATED"}


@pytest.mark.parametrize("caller", [*sorted(UNBELIEVED), "revoked", *KINDS])
def test_every_call_is_for_those_whom_the_contract_names_and_leaves_its_record(tls_site: TlsSite, caller: str) -> None:
    wrong: list[str] = []
    for service, method in every_method():
        path = path_of(method)
        before = len(tls_site.records(service))
        outcome, code = outcome_of(tls_site, service, caller, method)
        expected = expected_of(caller, path)
        fits = outcome not in REFUSALS if expected == "let in" else outcome == expected
        records = tls_site.records(service)[before:]
        recorded = [(record["method"], record["caller"], record["outcome"]) for record in records]
        is_recorded = code is grpc.StatusCode.PERMISSION_DENIED or access.is_audited(path)
        wanted = [(path, NAMES.get(caller, caller), outcome)] if is_recorded and caller not in UNBELIEVED else []
        if not fits or recorded != wanted:
            wrong.append(f"{path}: {outcome}, expected {expected}; recorded {recorded}, expected {wanted}")
    assert wrong == []


@pytest.mark.parametrize("path", [path_of(method) for _, method in every_method()])
def test_every_method_stands_in_the_table(path: str) -> None:
    assert access.allowed_callers(path)
    if access.USER_WITH_RIGHT in access.allowed_callers(path):
        assert path in REQUESTS, "add a request on node-[1-2], where alice has a right and bob has none"


def test_the_record_says_on_which_nodes_and_why(tls_site: TlsSite) -> None:
    method = next(method for _, method in every_method() if method.name == "CreateDeployment")
    outcome_of(tls_site, "deployer", "without right", method)
    record = tls_site.records("deployer")[-1]
    assert record["nodes"] == "node-[1-2]"
    assert (record["caller"], record["outcome"], record["refused"]) == ("user:bob", "RIGHT_MISSING", True)
    assert record["about"]["spec.environment_name"] == "debian"
    assert "bob" in record["message"]
    assert {"time", "request_id", "peer", "seconds", "service"} <= set(record)
