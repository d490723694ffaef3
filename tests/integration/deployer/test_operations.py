"""Operations over real gRPC: listed, shown, watched, cancelled, and begun without waiting for them."""

import asyncio
from typing import Any

import grpc
import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, operation_pb2
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_edge.status import from_rpc_error, from_status
from tests.integration.deployer.conftest import Site

pytestmark = pytest.mark.integration

PATIENCE = 10.0


class Gate:
    """Lets node1 pass at once, and node2 when it is opened."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.reached = asyncio.Event(), asyncio.Event()
        reboot = site.power.reboot

        async def gated(node: NodeSnapshot, level: RebootLevel) -> None:
            if node.name == "node2":
                self.reached.set()
                await self.opened.wait()
            await reboot(node, level)

        monkeypatch.setattr(site.power, "reboot", gated)


def cycle(nodes: str = "node[1-2]", **more: Any) -> deployer_service_pb2.SetPowerRequest:
    action = deployer_service_pb2.POWER_ACTION_CYCLE
    return deployer_service_pb2.SetPowerRequest(nodes=nodes, action=action, **more)


async def begin(site: Site, user: str = "alice", **more: Any) -> str:
    """Begins a power cycle and returns its id at once."""
    call = site.control(user).SetPower(cycle(request_id="r-1", detached=True, **more))
    async with asyncio.timeout(PATIENCE):
        (answer,) = [one async for one in call]
    assert not answer.HasField("result")
    return str(answer.operation_id)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        async with asyncio.timeout(PATIENCE):
            await call
    error = from_rpc_error(caught.value)
    return error.code, error.reason


def get(name: str) -> deployer_service_pb2.GetOperationRequest:
    return deployer_service_pb2.GetOperationRequest(id=name)


async def test_a_detached_operation_goes_on_and_is_watched_to_its_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(site, monkeypatch)
    name = await begin(site)
    assert await begin(site) == name
    await gate.reached.wait()
    control = site.control("alice")
    watch = control.WatchOperation(deployer_service_pb2.WatchOperationRequest(id="r-1"))
    messages: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        async for message in watch:
            messages.append(message)
            gate.opened.set()
    first = messages[0].snapshot.operation
    assert (first.id, first.state, first.kind, first.action) == (
        name,
        operation_pb2.OPERATION_STATE_RUNNING,
        operation_pb2.OPERATION_KIND_POWER,
        "power cycle",
    )
    changed = [m.event.node_state_changed for m in messages if m.event.WhichOneof("kind") == "node_state_changed"]
    assert changed[-1].state == operation_pb2.OPERATION_NODE_STATE_DONE
    assert messages[-1].event.operation_state_changed.state == operation_pb2.OPERATION_STATE_TERMINATED
    assert messages[-1].event.operation_state_changed.description == "2 of 2 nodes switched"

    ended = await control.GetOperation(get(name))
    assert [(one.node, one.state, one.status.code) for one in ended.node_states] == [
        ("node1", operation_pb2.OPERATION_NODE_STATE_DONE, 0),
        ("node2", operation_pb2.OPERATION_NODE_STATE_DONE, 0),
    ]


async def test_only_a_request_with_an_id_can_be_detached(site: Site) -> None:
    call = site.control("alice").SetPower(cycle(detached=True))
    assert await refusal(anext(aiter(call))) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_CONTROL")
    refused = site.control("alice").SetPower(cycle("node[1-", request_id="r-9", detached=True))
    assert await refusal(anext(aiter(refused))) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_NODE_SET")
    assert site.power.did == []


async def test_operations_are_listed_page_by_page_and_filtered(site: Site) -> None:
    control = site.control("alice")
    for number in range(3):
        request = cycle("node1", request_id=f"r-{number}")
        async with asyncio.timeout(PATIENCE):
            [one async for one in control.SetPower(request)]
    listed = await control.ListOperations(deployer_service_pb2.ListOperationsRequest(page_size=2))
    rest = await control.ListOperations(
        deployer_service_pb2.ListOperationsRequest(page_size=2, page_token=listed.next_page_token)
    )
    names = [one.id for one in (*listed.operations, *rest.operations)]
    assert len(set(names)) == 3
    assert (len(listed.operations), rest.next_page_token) == (2, "")
    assert [list(one.node_states) for one in listed.operations] == [[], []]
    for wanted, count in (
        (deployer_service_pb2.OperationFilter(owner="bob"), 0),
        (deployer_service_pb2.OperationFilter(kinds=[operation_pb2.OPERATION_KIND_REBOOT]), 0),
        (deployer_service_pb2.OperationFilter(kinds=[operation_pb2.OPERATION_KIND_POWER], nodes="node[1-9]"), 3),
        (deployer_service_pb2.OperationFilter(nodes="node2"), 0),
        (deployer_service_pb2.OperationFilter(states=[operation_pb2.OPERATION_STATE_TERMINATED]), 3),
    ):
        found = await control.ListOperations(deployer_service_pb2.ListOperationsRequest(filter=wanted))
        assert len(found.operations) == count, wanted
    strange: Any = 9
    unknown = deployer_service_pb2.OperationFilter(states=[strange])
    call = control.ListOperations(deployer_service_pb2.ListOperationsRequest(filter=unknown))
    assert await refusal(call) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_CONTROL")


async def test_an_operation_is_cancelled_by_its_owner_and_no_other_user(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(site, monkeypatch)
    name = await begin(site)
    await gate.reached.wait()
    cancel = deployer_service_pb2.CancelOperationRequest(id=name, reason="the wrong nodes")
    denied = (grpc.StatusCode.PERMISSION_DENIED, "NOT_OWNER")
    assert await refusal(site.control("bob").CancelOperation(cancel)) == denied
    await site.control("root").CancelOperation(cancel)
    async with asyncio.timeout(PATIENCE):
        while (ended := await site.control("alice").GetOperation(get(name))).state == (  # noqa: ASYNC110 - a server
            operation_pb2.OPERATION_STATE_RUNNING
        ):
            await asyncio.sleep(0.02)
    assert ended.description.startswith("cancelled by root: the wrong nodes; 1 of 2 nodes switched")
    assert from_status(ended.node_states[1].status).reason == "OPERATION_STOPPED"
    finished = (grpc.StatusCode.FAILED_PRECONDITION, "OPERATION_FINISHED")
    assert await refusal(site.control("alice").CancelOperation(cancel)) == finished


async def test_what_is_no_operation_is_not_found_and_an_operation_is_no_deployment(site: Site) -> None:
    control = site.control("alice")
    missing = (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")
    for name in ("", "op-power-1", "r-1", "20261122-abc"):
        assert await refusal(control.GetOperation(get(name))) == missing
        watch = control.WatchOperation(deployer_service_pb2.WatchOperationRequest(id=name))
        assert await refusal(anext(aiter(watch))) == missing
        assert await refusal(control.CancelOperation(deployer_service_pb2.CancelOperationRequest(id=name))) == missing
    name = await begin(site)
    # The name is its caller's own.
    assert await refusal(site.control("bob").GetOperation(get("r-1"))) == missing
    assert (await site.control("bob").GetOperation(get(name))).owner == "alice"
    deployments = site.deployments("alice")
    missing = (grpc.StatusCode.NOT_FOUND, "DEPLOYMENT_NOT_FOUND")
    assert await refusal(deployments.GetDeployment(deployer_service_pb2.GetDeploymentRequest(id=name))) == missing
    request = deployer_service_pb2.CancelDeploymentRequest(id=name)
    assert await refusal(deployments.CancelDeployment(request)) == missing
    watched = deployments.WatchDeployment(deployer_service_pb2.WatchDeploymentRequest(id=name, after_sequence=1))
    assert await refusal(anext(aiter(watched))) == missing
    output = deployer_service_pb2.GetStepOutputRequest(id=name, node="node1")
    assert await refusal(deployments.GetStepOutput(output)) == missing


async def test_a_node_that_is_held_says_by_whom_since_when_and_what_is_done_to_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(site, monkeypatch)
    name = await begin(site)
    await gate.reached.wait()
    request = deployer_service_pb2.ListNodeStatesRequest(nodes="node[1-2]")
    async with asyncio.timeout(PATIENCE):
        # Never deployed, and not held any more: nothing is known of node1.
        while len((found := await site.states.ListNodeStates(request)).nodes) != 1:  # noqa: ASYNC110 - a server
            await asyncio.sleep(0.02)
    (node,) = found.nodes
    assert (node.node, node.held_by, node.held_by_user, node.step) == ("node2", name, "alice", "power")
    assert node.lock_time.seconds <= node.step_start_time.seconds
    gate.opened.set()
    async with asyncio.timeout(PATIENCE):
        while (await site.states.ListNodeStates(request)).nodes:  # noqa: ASYNC110 - a server
            await asyncio.sleep(0.02)
