"""The table of callers and calls, read from the contracts."""

import pytest

from kadeploy.bootctl.v1 import bootctl_service_pb2
from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_edge import access
from kadeploy_edge.caller import Caller

NODES = "kadeploy.inventory.v1.NodeService"
CONTRACTS = (inventory_service_pb2, deployer_service_pb2, bootctl_service_pb2)


def every_method() -> list[str]:
    return [
        f"/{service.full_name}/{method.name}"
        for contract in CONTRACTS
        for service in contract.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


@pytest.mark.parametrize("full_method", every_method())
def test_every_method_of_the_contracts_says_who_may_call_it(full_method: str) -> None:
    assert access.allowed_callers(full_method)


def test_the_kinds_are_read_from_the_descriptor() -> None:
    assert access.allowed_callers(f"/{NODES}/RegisterNodes") == {access.ADMINISTRATOR}
    assert access.allowed_callers(f"/{NODES}/GetNode") == {
        access.USER,
        access.ADMINISTRATOR,
        access.DEPLOYER,
    }


def test_changing_methods_are_told_from_reading_ones() -> None:
    assert access.is_changing(f"/{NODES}/RegisterNodes")
    assert not access.is_changing(f"/{NODES}/GetNode")


def test_what_changes_is_audited_and_so_is_a_plan_which_opens_images() -> None:
    plan = "/kadeploy.deployer.v1.DeploymentService/PlanDeployment"
    assert access.is_audited(f"/{NODES}/RegisterNodes")
    assert access.is_audited(plan)
    assert not access.is_changing(plan)
    assert not access.is_audited(f"/{NODES}/GetNode")


@pytest.mark.parametrize(
    ("caller", "is_administrator", "method"),
    [
        ("user:root", True, "RegisterNodes"),
        ("user:alice", False, "GetNode"),
        ("deployer", False, "GetNode"),
    ],
)
def test_a_named_kind_may_call(caller: str, is_administrator: bool, method: str) -> None:
    access.check(f"/{NODES}/{method}", Caller(name=caller), is_administrator=is_administrator)


@pytest.mark.parametrize(
    ("caller", "method"),
    [("user:alice", "RegisterNodes"), ("deployer", "RegisterNodes"), ("", "GetNode")],
)
def test_another_kind_is_refused_with_a_reason(caller: str, method: str) -> None:
    with pytest.raises(access.CallerNotAllowed) as refusal:
        access.check(f"/{NODES}/{method}", Caller(name=caller), is_administrator=False)
    assert refusal.value.reason == "CALLER_NOT_ALLOWED"
    assert refusal.value.metadata["method"] == method
