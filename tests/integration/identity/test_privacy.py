"""What users cannot read of one another in the inventory and in bootctl, over real mutual TLS."""

import grpc
import pytest

from kadeploy.bootctl.v1 import bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy.inventory.v1 import environment_pb2, inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.status import from_rpc_error
from tests.integration.identity.conftest import TlsSite
from tests.integration.inventory.requests import an_environment

pytestmark = pytest.mark.integration

SECONDS = 10.0


def test_boot_entries_and_their_kernel_arguments_are_for_the_deployer_and_administrators(tls_site: TlsSite) -> None:
    calls = {
        "GetBootEntry": bootctl_service_pb2.GetBootEntryRequest(node="node-1"),
        "ListBootEntries": bootctl_service_pb2.ListBootEntriesRequest(),
        "RenderBootEntries": bootctl_service_pb2.RenderBootEntriesRequest(),
    }

    def answer(caller: str, name: str) -> str:
        stub = bootctl_service_pb2_grpc.BootServiceStub(tls_site.channels("bootctl", caller))
        try:
            getattr(stub, name)(calls[name], timeout=SECONDS)
        except grpc.RpcError as error:
            return from_rpc_error(error).reason
        return "OK"

    for caller in ("with right", "without right", "inventory"):
        assert {answer(caller, name) for name in calls} == {"CALLER_NOT_ALLOWED"}
    for caller in ("administrator", "deployer"):
        assert {answer(caller, name) for name in calls} <= {"OK", "BOOT_ENTRY_NOT_FOUND"}


def test_a_private_environment_is_shown_to_its_owner_administrators_and_the_deployer(tls_site: TlsSite) -> None:
    def stub(caller: str) -> "inventory_service_pb2_grpc.EnvironmentServiceStub":
        return inventory_service_pb2_grpc.EnvironmentServiceStub(tls_site.channels("inventory", caller))

    private = an_environment("alices-own", visibility=environment_pb2.VISIBILITY_PRIVATE)
    private.boot.kernel_arguments = "password=hunter2"
    stub("with right").RecordEnvironment(
        inventory_service_pb2.RecordEnvironmentRequest(environment=private), timeout=SECONDS
    )
    named = inventory_service_pb2.GetEnvironmentRequest()
    named.environment.name, named.environment.owner = "alices-own", "alice"
    for caller in ("with right", "administrator", "deployer"):
        found = stub(caller).GetEnvironment(named, timeout=SECONDS)
        assert found.boot.kernel_arguments == "password=hunter2"
    with pytest.raises(grpc.RpcError) as caught:
        stub("without right").GetEnvironment(named, timeout=SECONDS)
    assert from_rpc_error(caught.value).reason == "ENVIRONMENT_NOT_FOUND"
    listed = stub("without right").ListEnvironments(inventory_service_pb2.ListEnvironmentsRequest(), timeout=SECONDS)
    assert "alices-own" not in [one.name for one in listed.environments]
    everything = stub("administrator").ListEnvironments(
        inventory_service_pb2.ListEnvironmentsRequest(), timeout=SECONDS
    )
    assert "alices-own" in [one.name for one in everything.environments]
