"""The table of callers and calls, read from the contracts."""

from collections.abc import Callable
from typing import Any

import pytest

from kadeploy.bootctl.v1 import bootctl_service_pb2
from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_edge import access
from kadeploy_edge.caller import Caller, current_caller

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


class SyncNodes:
    def GetNode(self, request: str, _context: object) -> str:
        return request.upper()


class AsyncNodes:
    async def GetNode(self, request: str, _context: object) -> str:
        return request.upper()

    async def DeleteNodes(self, request: str, _context: object) -> Any:
        for letter in request:
            yield letter


def guarded(servicer: object, caller: str, run: Callable[[Any], object]) -> object:
    token = current_caller.set(Caller(name=caller))
    try:
        return run(access.Guarded(servicer, service=NODES, is_administrator=lambda _caller: False))
    finally:
        current_caller.reset(token)


def test_a_guarded_sync_method_asks_first() -> None:
    assert guarded(SyncNodes(), "user:alice", lambda nodes: nodes.GetNode("n1", None)) == "N1"
    with pytest.raises(access.CallerNotAllowed):
        guarded(SyncNodes(), "", lambda nodes: nodes.GetNode("n1", None))


async def test_guarded_async_methods_ask_first() -> None:
    nodes = access.Guarded(AsyncNodes(), service=NODES, is_administrator=lambda _caller: False)
    token = current_caller.set(Caller(name="deployer"))
    try:
        assert await nodes.GetNode("n1", None) == "N1"
        with pytest.raises(access.CallerNotAllowed):
            _ = [letter async for letter in nodes.DeleteNodes("n1", None)]
    finally:
        current_caller.reset(token)
